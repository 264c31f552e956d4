// Imported when the library may be loaded, as `rtc-library.ts` is.
import { InferenceSession } from "onnxruntime-node";

/** Loads onnxruntime and a model into it. */
export async function tryVoiceModel(path: string): Promise<void> {
  const session = await InferenceSession.create(path);
  await session.release();
}
