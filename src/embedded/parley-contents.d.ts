/** Made by `scripts/build/embed.ts` for each executable. */
declare module "parley:contents" {
  const contents: import("./contents.ts").Contents;
  export default contents;
}
