/** The agent could not join its room, because LiveKit did not answer or refused it. */
export class CannotJoin extends Error {
  override readonly name = "CannotJoin";

  constructor(cause: unknown) {
    super("the agent could not join its room", { cause });
  }
}
