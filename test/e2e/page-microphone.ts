/** When the first and the last sample of an utterance were played, ms since the epoch. */
export interface Played {
  from: number;
  to: number;
}

/** The voice of the person in front of the page. */
export interface PageMicrophone {
  /** Plays mono PCM (48 kHz, 16 bit, base64) into the open microphones; resolves at its end. */
  play(pcm: string): Promise<Played>;
}

declare global {
  interface Window {
    microphone: PageMicrophone;
  }
}

/**
 * Gives the page a microphone that loses nothing. Chromium's own fake device plays a file by the
 * clock and skips what a busy machine makes it miss; a graph of Web Audio that is computed late
 * gives every sample, later. The real device is still opened first, so that permission and errors
 * are the browser's own.
 *
 * Runs in the browser before the page's scripts: it must refer to nothing outside of itself.
 */
export function installPageMicrophone(): void {
  const devices = navigator.mediaDevices;
  if (devices === undefined) return;
  const rate = 48_000;
  const open = devices.getUserMedia.bind(devices);
  let context: AudioContext | undefined;
  let voice: GainNode | undefined;

  devices.getUserMedia = async (constraints) => {
    const device = await open(constraints);
    for (const track of device.getTracks()) track.stop();
    context ??= new AudioContext({ sampleRate: rate });
    voice ??= createVoice(context);
    await context.resume();
    const options = { channelCount: 1, channelCountMode: "explicit" } as const;
    const destination = new MediaStreamAudioDestinationNode(context, options);
    voice.connect(destination);
    return destination.stream;
  };

  window.microphone = {
    play: async (pcm) => {
      if (context === undefined || voice === undefined) throw new Error("no open microphone");
      const source = new AudioBufferSourceNode(context, { buffer: decoded(pcm) });
      source.connect(voice);
      const { promise, resolve } = Promise.withResolvers<Event>();
      source.onended = resolve;
      source.start();
      const from = Date.now();
      await promise;
      return { from, to: Date.now() };
    },
  };

  /** Where voices come together, over the faint noise of a room: digital silence is unlike any. */
  function createVoice(context: AudioContext): GainNode {
    const buffer = new AudioBuffer({ length: rate, sampleRate: rate });
    // White noise of -78 dBFS: a uniform value between -a and a has an RMS of a/sqrt(3).
    const amplitude = 10 ** (-78 / 20) * Math.sqrt(3);
    const noise = buffer.getChannelData(0);
    for (let i = 0; i < rate; i++) noise[i] = (Math.random() * 2 - 1) * amplitude;
    const mixer = new GainNode(context);
    const room = new AudioBufferSourceNode(context, { buffer, loop: true });
    room.connect(mixer);
    room.start();
    return mixer;
  }

  function decoded(pcm: string): AudioBuffer {
    const bytes = Uint8Array.from(atob(pcm), (char) => char.charCodeAt(0));
    const samples = new Int16Array(bytes.buffer);
    const buffer = new AudioBuffer({ length: samples.length, sampleRate: rate });
    buffer.copyToChannel(
      Float32Array.from(samples, (sample) => sample / 32_768),
      0,
    );
    return buffer;
  }
}
