import type { LocalModel } from "../domain/model.ts";

const OUT_OF_MEMORY =
  /bad_alloc|out of memory|not enough (?:v?ram|memory)|insufficient memory|mem_buffer != NULL|failed to create context|(?:cannot|could not|failed to|unable to) allocate/i;

/**
 * What to tell of a model that could not be loaded, and what to do.
 *
 * @param words what the library said
 * @param killed whether the system ended the process, as it does when memory is short
 */
export function loadFailure(model: LocalModel, words: string, killed = false): string {
  const mend =
    killed || OUT_OF_MEMORY.test(words)
      ? "There is not enough memory for it: choose a smaller model, or end other programs."
      : `One of its files is damaged, or not what it should be: ${filesOf(model).join(", ")}. ` +
        "Fetch the model again, or choose another one.";
  const said = words.trim().replace(/\.$/, "") || "its library ended the engine without a word";
  return `The model ${model.id} cannot be loaded: ${said}. ${mend}`;
}

function filesOf(model: LocalModel): string[] {
  const { stage: _stage, id: _id, kind: _kind, ...files } = model;
  return Object.values(files);
}
