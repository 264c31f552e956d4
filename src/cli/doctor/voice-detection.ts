// onnxruntime-node is imported statically, in a module that is itself imported dynamically: the
// library is loaded only once it is unpacked, and the bundler of the executable follows the import.
import { InferenceSession } from "onnxruntime-node";

/** Loads onnxruntime and a model into it. @throws Error if either does not load */
export async function tryVoiceModel(path: string): Promise<void> {
  const session = await InferenceSession.create(path);
  await session.release();
}
