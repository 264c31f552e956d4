/** One of the page's indicators changed; `state` is its `data-state`. */
export interface StateChange {
  at: number;
  of: "status" | "agent" | "user";
  state: string;
}

/** A line of the transcript as it was shown at one moment. */
export interface ShownLine {
  at: number;
  id: string;
  role: string;
  final: boolean;
  text: string;
}

/** How loud the agent's audio was at one moment. */
export interface Level {
  at: number;
  /** Root mean square of 20 ms, 0 to 1. */
  rms: number;
  /** Whether the page's audio element let it out. */
  playing: boolean;
}

/** What the page shows, plays and opens, noted inside it from before its first script. */
export interface Probe {
  states: StateChange[];
  lines: ShownLine[];
  /** What a screen reader was given to say. */
  announced: string[];
  levels: Level[];
  microphones: MediaStreamTrack[];
  /** Violations of the Content-Security-Policy. */
  violations: string[];
  /** What hostile text managed to do: it must stay empty. */
  hacked: unknown[];
}

declare global {
  interface Window {
    probe: Probe;
  }
}

/**
 * Begins to note. It is handed to the browser as its source, so it refers to nothing outside of
 * itself.
 */
export function installProbe(): void {
  const probe: Probe = {
    states: [],
    lines: [],
    announced: [],
    levels: [],
    microphones: [],
    violations: [],
    hacked: [],
  };
  window.probe = probe;
  document.addEventListener("securitypolicyviolation", (event) => {
    probe.violations.push(`${event.effectiveDirective}: ${event.blockedURI} ${event.sample}`);
  });
  noteMicrophones();
  document.addEventListener("DOMContentLoaded", () => {
    follow("status", "status");
    follow("agent-state", "agent");
    follow("user-state", "user");
    observe("transcript", noteLines);
    observe("announcer", (box) => {
      const said = box.textContent;
      if (said) probe.announced.push(said);
    });
  });

  function noteMicrophones(): void {
    const devices = navigator.mediaDevices;
    if (devices === undefined) return;
    const open = devices.getUserMedia.bind(devices);
    devices.getUserMedia = async (constraints) => {
      const stream = await open(constraints);
      probe.microphones.push(...stream.getTracks());
      return stream;
    };
  }

  function observe(id: string, note: (element: HTMLElement) => void): void {
    const element = document.getElementById(id);
    if (element === null) return;
    const options = { attributes: true, characterData: true, childList: true, subtree: true };
    new MutationObserver(() => note(element)).observe(element, options);
  }

  function follow(id: string, of: StateChange["of"]): void {
    let last = "";
    observe(id, ({ dataset }) => {
      const state = dataset["state"] ?? "";
      if (state !== last) probe.states.push({ at: Date.now(), of, state });
      last = state;
    });
  }

  function noteLines(list: HTMLElement): void {
    for (const item of list.querySelectorAll<HTMLElement>(".line")) {
      const { segmentId: id = "", role = "", final } = item.dataset;
      const text = item.querySelector(".line-text")?.textContent ?? "";
      const line = { at: Date.now(), id, role, final: final === "true", text };
      const before = probe.lines.findLast((one) => one.id === id);
      if (before?.text !== text || before.final !== line.final) probe.lines.push(line);
    }
  }
}

/** Notes the levels of the agent's audio in the probe; handed to the browser in the same way. */
export function installLevelMeter(): void {
  // LiveKit uses an audio element again for the next session.
  const measured = new WeakSet<MediaStreamTrack>();
  document.addEventListener("DOMContentLoaded", () => {
    const box = document.getElementById("audio");
    if (box === null) return;
    const measureAll = () => box.querySelectorAll("audio").forEach(measure);
    new MutationObserver(measureAll).observe(box, {
      attributes: true,
      childList: true,
      subtree: true,
    });
  });

  function measure(audio: HTMLAudioElement): void {
    const stream = audio.srcObject instanceof MediaStream ? audio.srcObject : new MediaStream();
    const [track] = stream.getAudioTracks();
    if (track === undefined || measured.has(track)) return;
    measured.add(track);
    const context = new AudioContext();
    // It keeps the last 0.7 s, so that a page that is late misses none of the sound.
    const analyser = new AnalyserNode(context, { fftSize: 32_768 });
    context.createMediaStreamSource(new MediaStream([track])).connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    const block = Math.round(context.sampleRate / 50);
    let measuredTo = context.currentTime * context.sampleRate;
    const timer = setInterval(() => {
      if (!audio.isConnected || !stream.getAudioTracks().includes(track)) {
        clearInterval(timer);
        void context.close();
        return;
      }
      if (context.state === "suspended") context.resume().catch(() => undefined);
      const now = Math.round(context.currentTime * context.sampleRate);
      analyser.getFloatTimeDomainData(samples);
      const playing = !audio.paused && !audio.muted && audio.volume > 0;
      let left = Math.min(now - measuredTo, samples.length);
      for (; left >= block; left -= block) {
        const from = samples.length - left;
        const at = Date.now() - ((left - block) / context.sampleRate) * 1000;
        window.probe.levels.push({ at, rms: rmsOf(samples.subarray(from, from + block)), playing });
      }
      measuredTo = now - left;
    }, 20);
  }

  function rmsOf(samples: Float32Array): number {
    let sum = 0;
    for (const sample of samples) sum += sample * sample;
    return Math.sqrt(sum / samples.length);
  }
}
