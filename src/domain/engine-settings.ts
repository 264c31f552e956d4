export const GPU_CHOICES = ["off", "auto", "vulkan", "cuda", "metal"] as const;
export type GpuChoice = (typeof GPU_CHOICES)[number];

/** How local models run. What is undefined follows from the machine. */
export interface EngineSettings {
  /** The most tokens of a conversation that a language model sees. */
  contextTokens: number | undefined;
  /** The processors that all stages share. */
  threads: number | undefined;
  /** The most conversations that a language model answers at the same time. */
  parallel: number | undefined;
  /** How long models stay in memory after the last conversation, in ms; 0: no time. */
  keepAliveMs: number;
  /** What computes besides the processor. */
  gpu: GpuChoice;
  /** Whether noise is suppressed before speech recognition. */
  denoise: boolean;
}
