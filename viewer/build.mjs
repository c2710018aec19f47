/**
 * Bundle src/main.js with three.js into one classic script, which also works from file://.
 *
 * `node build.mjs` writes the bundle; `node build.mjs --check` fails if the committed one differs.
 */
import { readFile, writeFile } from "node:fs/promises";
import { build } from "esbuild";

const TARGET = new URL("../posenet/viewer/assets/viewer.js", import.meta.url);
const LICENSE = new URL("node_modules/three/LICENSE", import.meta.url);

const license = (await readFile(LICENSE, "utf8")).trim();
const result = await build({
  entryPoints: [new URL("src/main.js", import.meta.url).pathname],
  bundle: true,
  minify: true,
  format: "iife",
  target: "es2022",
  legalComments: "none",
  banner: { js: `/*! Contains three.js:\n${license}\n*/` },
  write: false,
});
const bundle = result.outputFiles[0].text;
if (process.argv.includes("--check")) {
  if (bundle !== (await readFile(TARGET, "utf8"))) {
    console.error("posenet/viewer/assets/viewer.js differs from its source: run npm run build");
    process.exit(1);
  }
} else {
  await writeFile(TARGET, bundle);
  console.log(`${TARGET.pathname}: ${(bundle.length / 1e6).toFixed(2)} MB`);
}
