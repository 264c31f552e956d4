import { existsSync, readdirSync, readFileSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import { z } from "zod";
import { LIVEKIT_VERSION } from "../src/livekit/release.ts";
import { ROOT } from "./paths.ts";

/** A package, module or program that is part of Parley. */
export interface Component {
  name: string;
  version: string;
  /** An SPDX expression; undefined if its authors name no licence. */
  license: string | undefined;
  /** Package URL (https://github.com/package-url/purl-spec), which identifies it in an SBOM. */
  purl: string;
  /** The unchanged licence and notice files, ordered by name. */
  texts: string[];
  author: string | undefined;
}

const names = z.record(z.string(), z.unknown()).optional();
const manifest = z.object({
  name: z.string(),
  version: z.string(),
  license: z.union([z.string(), z.object({ type: z.string() })]).optional(),
  author: z.union([z.string(), z.object({ name: z.string() })]).optional(),
  dependencies: names,
  optionalDependencies: names,
  peerDependencies: names,
  peerDependenciesMeta: z
    .record(z.string(), z.object({ optional: z.boolean().optional() }))
    .optional(),
});
type Manifest = z.infer<typeof manifest>;

const LICENSE_FILE = /^(licen[cs]e|copying|notice|third[-_]?party)/i;

/** The packages of the engine for local models, which are only in parley-offline. */
export const ENGINE_PACKAGES: readonly string[] = ["node-llama-cpp", "sherpa-onnx-node"];

/**
 * All parts of a source tree or an executable.
 *
 * @param engine whether the engine for local models is included
 * @param further parts of livekit-server, if they are known
 */
export function componentsOf({
  engine,
  further = [],
}: {
  engine: boolean;
  further?: readonly Component[];
}): Component[] {
  const packages = engine
    ? [...engineParts(), ...npmComponents(otherPlatforms())]
    : npmComponents(ENGINE_PACKAGES);
  return [...programs(), ...codecParts(), ...packages, ...further];
}

/**
 * Every package that Parley needs to run, indirect dependencies included, as installed for this
 * platform. Ordered by name and version; each version is listed once.
 *
 * @param without packages to leave out, together with what only they need
 */
export function npmComponents(without: readonly string[] = [], root: string = ROOT): Component[] {
  const found = new Map<string, Component>();
  const seen = new Set<string>();
  const visit = (folder: string, isRoot: boolean) => {
    if (seen.has(folder)) return;
    seen.add(folder);
    const own = manifest.parse(JSON.parse(readFileSync(join(folder, "package.json"), "utf8")));
    if (!isRoot) found.set(`${own.name}@${own.version}`, componentOf(folder, own));
    for (const name of neededBy(own)) {
      if (without.includes(name)) continue;
      const next = resolveFrom(folder, name, root);
      if (next) visit(next, false);
    }
  };
  visit(realpathSync(root), true);
  return [...found.values()].sort(byName);
}

/** The names of a package's dependencies, without optional peers. */
function neededBy(own: Manifest): string[] {
  const { dependencies, optionalDependencies, peerDependencies, peerDependenciesMeta } = own;
  const peers = Object.keys(peerDependencies ?? {}).filter(
    (name) => peerDependenciesMeta?.[name]?.optional !== true,
  );
  return [...Object.keys({ ...dependencies, ...optionalDependencies }), ...peers].sort();
}

/**
 * Resolves a package as Node does, in the nearest `node_modules` upwards.
 *
 * @returns its folder; undefined if it is not installed, such as one for another platform
 */
function resolveFrom(folder: string, name: string, root: string): string | undefined {
  const top = realpathSync(root);
  for (let parent = folder; ; parent = dirname(parent)) {
    const candidate = join(parent, "node_modules", name);
    if (existsSync(join(candidate, "package.json"))) return realpathSync(candidate);
    if (parent === top || parent === dirname(parent)) return undefined;
  }
}

function componentOf(folder: string, own: Manifest): Component {
  const { name, version, license, author } = own;
  return {
    name,
    version,
    license: typeof license === "string" ? license : license?.type,
    purl: `pkg:npm/${name.replace("@", "%40")}@${version}`,
    texts: licenseTexts(folder),
    author: typeof author === "string" ? author.replace(/\s*[<(].*$/, "") : author?.name,
  };
}

function licenseTexts(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isFile() && LICENSE_FILE.test(entry.name))
    .filter((entry) => !/\.(js|ts|json)$/.test(entry.name))
    .map((entry) => entry.name)
    .sort()
    .map((name) => readFileSync(join(folder, name), "utf8").replaceAll("\r\n", "\n").trim());
}

const LIVEKIT_NOTICE = `Copyright 2023 LiveKit, Inc.

Licensed under the Apache License, Version 2.0 (the "License");
you may not use this file except in compliance with the License.
You may obtain a copy of the License at

   http://www.apache.org/licenses/LICENSE-2.0

Unless required by applicable law or agreed to in writing, software
distributed under the License is distributed on an "AS IS" BASIS,
WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
See the License for the specific language governing permissions and
limitations under the License.`;

const BUN_NOTICE = `Bun is made by Oven and its contributors under the MIT License. It links JavaScriptCore and
WebKit parts under LGPL-2.1 and further libraries under their own licences, which are listed at
https://bun.com/docs/project/license; their source is at https://github.com/oven-sh/bun and
https://github.com/oven-sh/webkit.`;

const ESPEAK_NOTICE = `eSpeak NG converts text to phonemes inside the library of sherpa-onnx, which as a whole is therefore
under the GNU General Public License, version 3 or later: https://www.gnu.org/licenses/gpl-3.0.html.
The source of sherpa-onnx is at https://github.com/k2-fsa/sherpa-onnx; its file
cmake/espeak-ng-for-piper.cmake names the commit of https://github.com/csukuangfj/espeak-ng that it
is built with. Of Parley's executables only parley-offline contains it.`;

const EIGEN_NOTICE = `Eigen is under the Mozilla Public License 2.0: https://www.mozilla.org/en-US/MPL/2.0/. Its source
is at https://gitlab.com/libeigen/eigen; sherpa-onnx's file cmake/eigen.cmake names the version.`;

const MPG123_NOTICE = `mpg123 is under the GNU Lesser General Public License, version 2.1:
https://www.gnu.org/licenses/old-licenses/lgpl-2.1.html. It is compiled to WebAssembly in the package
mpg123-decoder; its source, and how to build it, is at
https://github.com/eshaz/wasm-audio-decoders. To use a changed version, put it into node_modules and
build Parley's executable again from the source at https://github.com/parley/parley.`;

const LAME_NOTICE = `LAME is under the GNU Library General Public License, version 2 or later:
https://www.gnu.org/licenses/old-licenses/lgpl-2.0.html. It is compiled to WebAssembly in the package
wasm-media-encoders; its source, and how to build it, is at
https://github.com/arseneyr/wasm-media-encoders. To use a changed version, put it into node_modules
and build Parley's executable again from the source at https://github.com/parley/parley.`;

/** The BSD licence of three clauses. @param holder as in "neither the name of …" */
function bsd(copyright: string, holder: string): string {
  return `${copyright}

Redistribution and use in source and binary forms, with or without modification, are permitted
provided that the following conditions are met:

- Redistributions of source code must retain the above copyright notice, this list of conditions and
  the following disclaimer.
- Redistributions in binary form must reproduce the above copyright notice, this list of conditions
  and the following disclaimer in the documentation and/or other materials provided with the
  distribution.
- Neither the name of ${holder} may be used to endorse
  or promote products derived from this software without specific prior written permission.

THIS SOFTWARE IS PROVIDED BY THE COPYRIGHT HOLDERS AND CONTRIBUTORS "AS IS" AND ANY EXPRESS OR IMPLIED
WARRANTIES, INCLUDING, BUT NOT LIMITED TO, THE IMPLIED WARRANTIES OF MERCHANTABILITY AND FITNESS FOR A
PARTICULAR PURPOSE ARE DISCLAIMED. IN NO EVENT SHALL THE FOUNDATION OR CONTRIBUTORS BE LIABLE FOR ANY
DIRECT, INDIRECT, INCIDENTAL, SPECIAL, EXEMPLARY, OR CONSEQUENTIAL DAMAGES (INCLUDING, BUT NOT LIMITED
TO, PROCUREMENT OF SUBSTITUTE GOODS OR SERVICES; LOSS OF USE, DATA, OR PROFITS; OR BUSINESS
INTERRUPTION) HOWEVER CAUSED AND ON ANY THEORY OF LIABILITY, WHETHER IN CONTRACT, STRICT LIABILITY, OR
TORT (INCLUDING NEGLIGENCE OR OTHERWISE) ARISING IN ANY WAY OUT OF THE USE OF THIS SOFTWARE, EVEN IF
ADVISED OF THE POSSIBILITY OF SUCH DAMAGE.`;
}

const XIPH_NOTICE = bsd(
  "Copyright the Xiph.Org Foundation and contributors",
  "the Xiph.Org Foundation nor the names of its contributors",
);
/** Libraries that the decoders' and encoders' packages contain as WebAssembly, and do not list. */
function codecParts(): Component[] {
  const part = (name: string, within: string, license: string, text: string): Component => ({
    name,
    version: `as in ${within}`,
    license,
    purl: `pkg:generic/${name}`,
    texts: [text],
    author: `the authors of ${name}`,
  });
  const bsd = "BSD-3-Clause";
  return [
    part("mpg123", "mpg123-decoder", "LGPL-2.1-only", MPG123_NOTICE),
    part("opus", "opus-decoder and libopus-wasm", bsd, XIPH_NOTICE),
    part("flac", "@wasm-audio-decoders/flac", bsd, XIPH_NOTICE),
    part("vorbis", "@wasm-audio-decoders/ogg-vorbis and wasm-media-encoders", bsd, XIPH_NOTICE),
    part("lame", "wasm-media-encoders", "LGPL-2.0-or-later", LAME_NOTICE),
  ];
}

const KISSFFT_NOTICE = bsd(
  "Copyright (c) 2003,4 Mark Borgerding",
  "the author nor the names of any contributors",
);

/**
 * Libraries that sherpa-onnx and llama.cpp link statically, and their packages do not list. Those of
 * sherpa-onnx are what its library names in its own text (`strings`) and its folder `cmake` declares.
 */
function engineParts(): Component[] {
  const within =
    (holder: string) => (name: string, license: string, at: string, author: string) => ({
      name,
      version: `as in ${holder}`,
      license,
      purl: `pkg:github/${at}`,
      texts: [] as string[],
      author,
    });
  const speech = within("sherpa-onnx-node");
  const language = within("node-llama-cpp");
  return [
    {
      ...speech(
        "espeak-ng",
        "GPL-3.0-or-later",
        "csukuangfj/espeak-ng",
        "the authors of eSpeak NG",
      ),
      texts: [ESPEAK_NOTICE],
    },
    {
      ...speech("eigen", "MPL-2.0", "libeigen/eigen", "the authors of Eigen"),
      texts: [EIGEN_NOTICE],
    },
    {
      ...speech("kissfft", "BSD-3-Clause", "mborgerding/kissfft", "Mark Borgerding"),
      texts: [KISSFFT_NOTICE],
    },
    speech(
      "sherpa-onnx",
      "Apache-2.0",
      "k2-fsa/sherpa-onnx",
      "Xiaomi Corporation and the authors of sherpa-onnx",
    ),
    speech(
      "kaldi-native-fbank",
      "Apache-2.0",
      "csukuangfj/kaldi-native-fbank",
      "the authors of kaldi-native-fbank",
    ),
    speech("kaldi-decoder", "Apache-2.0", "k2-fsa/kaldi-decoder", "the authors of kaldi-decoder"),
    speech("kaldifst", "Apache-2.0", "k2-fsa/kaldifst", "the authors of kaldifst"),
    speech("openfst", "Apache-2.0", "csukuangfj/openfst", "Google LLC and the authors of OpenFst"),
    speech(
      "simple-sentencepiece",
      "Apache-2.0",
      "pkufool/simple-sentencepiece",
      "the authors of simple-sentencepiece",
    ),
    speech("piper-phonemize", "MIT", "rhasspy/piper-phonemize", "2023 Michael Hansen"),
    speech("nlohmann-json", "MIT", "nlohmann/json", "2013-2026 Niels Lohmann"),
    speech("onnxruntime", "MIT", "microsoft/onnxruntime", "Microsoft Corporation"),
    language("llama.cpp", "MIT", "ggml-org/llama.cpp", "2023-2026 The ggml authors"),
    language("ggml", "MIT", "ggml-org/ggml", "2023-2026 The ggml authors"),
  ];
}

/** Packages with libraries for other platforms, which npm installs as well and no executable contains. */
function otherPlatforms(): string[] {
  const scope = join(ROOT, "node_modules", "@node-llama-cpp");
  if (!existsSync(scope)) return [];
  const own = `${{ darwin: "mac", win32: "win" }[process.platform as string] ?? process.platform}-${process.arch}`;
  return readdirSync(scope)
    .filter((name) => name !== own && !name.startsWith(`${own}-`))
    .map((name) => `@node-llama-cpp/${name}`);
}

/** Programs that the executable contains or runs. */
function programs(): Component[] {
  return [
    {
      name: "bun",
      version: Bun.version,
      license: "MIT",
      purl: `pkg:npm/bun@${Bun.version}`,
      texts: [BUN_NOTICE],
      author: "Oven",
    },
    {
      name: "livekit-server",
      version: LIVEKIT_VERSION,
      license: "Apache-2.0",
      purl: `pkg:golang/github.com/livekit/livekit-server@v${LIVEKIT_VERSION}`,
      texts: [LIVEKIT_NOTICE],
      author: "LiveKit",
    },
  ];
}

/**
 * The Go modules that are linked into a livekit-server, with their licences from Go's module cache.
 *
 * @throws Error without Go, or if a module is not in the cache, since the list would be incomplete
 */
export async function goComponents(binary: string): Promise<Component[]> {
  const info = await output(["go", "version", "-m", binary]);
  const cache = (await output(["go", "env", "GOMODCACHE"])).trim();
  const components = [...info.matchAll(/^\tdep\t(\S+)\t(\S+)/gm)].map(
    ([, path = "", version = ""]) => {
      // For case-insensitive disks, the cache writes a capital as ! and the small letter.
      const escaped = `${path}@${version}`.replace(
        /[A-Z]/g,
        (letter) => `!${letter.toLowerCase()}`,
      );
      const folder = join(cache, escaped);
      if (!existsSync(folder))
        throw new Error(`${folder} is missing: build livekit-server here first`);
      return {
        name: path,
        version,
        license: undefined,
        purl: `pkg:golang/${path}@${version}`,
        texts: licenseTexts(folder),
        author: undefined,
      };
    },
  );
  return components.sort(byName);
}

async function output(command: string[]): Promise<string> {
  const child = Bun.spawn(command, { stdin: "ignore", stdout: "pipe", stderr: "inherit" });
  const text = await new Response(child.stdout).text();
  if ((await child.exited) !== 0) throw new Error(`${command.join(" ")} failed`);
  return text;
}

/** Compares code units, which gives the same order in every locale. */
function byName(a: Component, b: Component): number {
  const [left, right] = [`${a.name}@${a.version}`, `${b.name}@${b.version}`];
  return left < right ? -1 : Number(left > right);
}
