import { expect, test } from "bun:test";
import { type Speaker, speakerNumber } from "./speaker.ts";

function speaker(id: string, gender: Speaker["gender"], name = id): Speaker {
  return { id, name, language: "en-US", gender };
}

const MIXED = [
  speaker("af_heart", "female", "Heart"),
  speaker("am_echo", "male", "Echo"),
  speaker("af_sky", "female", "Sky"),
  speaker("am_adam", "male", "Adam"),
];

test("a speaker is chosen by id, name or number, and by nothing the first", () => {
  const asked = ["", "af_sky", "AF_SKY", "Adam", " heart ", "3", "0"];
  expect(asked.map((voice) => speakerNumber(MIXED, voice))).toEqual([0, 2, 2, 3, 0, 3, 0]);
});

test("an id of digits comes before a number", () => {
  const numbered = ["3922", "1", "0"].map((id) => speaker(id, undefined));
  expect(["0", "1", "2", "3922"].map((voice) => speakerNumber(numbered, voice))).toEqual([
    2, 1, 2, 0,
  ]);
});

test("OpenAI's names mean a speaker of that name, or always the same one of their gender", () => {
  const asked = ["echo", "alloy", "coral", "nova", "ash", "ballad", "onyx"];
  expect(asked.map((voice) => speakerNumber(MIXED, voice))).toEqual([1, 0, 2, 2, 1, 3, 3]);
  const [only] = MIXED;
  if (only) expect(asked.map((voice) => speakerNumber([only], voice))).toEqual(asked.map(() => 0));
});

test("there is no speaker of another name or number", () => {
  for (const voice of ["bella", "4", "-1", "99999", "100000", "af_", "constructor", "0x1"]) {
    expect(speakerNumber(MIXED, voice)).toBeUndefined();
  }
});
