// One module of a plugin, its packages and the SDK: `plugin.js` for the engine, and what `describe` answers in `description.json`.
// Its argument is a JSON object, written by `javascript.rs`.

import { spawnSync } from "node:child_process";
import { mkdir, readFile } from "node:fs/promises";
import { dirname, join, posix } from "node:path";
import { build } from "esbuild";

const job = JSON.parse(process.argv[2]);
const plugin = JSON.stringify(job.plugin);
const main = JSON.stringify(job.main);

/**
 * The SDK is the checkout's, whatever copy the plugin's packages bring: commands are kept in one place. In a namespace of its own,
 * so that no place of this machine is in the bundle.
 */
const sdk = {
  name: "claiflow",
  setup(build) {
    build.onResolve({ filter: /^claiflow(\/|$)/ }, ({ path }) => {
      const [, part = "index"] = path.split("/");
      return { path: `${part}.js`, namespace: "claiflow" };
    });
    build.onResolve({ filter: /^\./, namespace: "claiflow" }, ({ path, importer }) => ({
      path: posix.join(posix.dirname(importer), path),
      namespace: "claiflow",
    }));
    build.onLoad({ filter: /.*/, namespace: "claiflow" }, async ({ path }) => ({
      contents: await readFile(join(job.sdk, path), "utf8"),
    }));
  },
};

/** `external` is what the engine brings, and what Node.js brings. */
async function bundle(contents, outfile, platform, external, sourcemap = false) {
  await build({
    stdin: { contents, resolveDir: dirname(job.main), sourcefile: "claiflow-entry.js" },
    bundle: true,
    format: "esm",
    target: "es2022",
    mainFields: ["module", "main"],
    conditions: ["import", "module"],
    legalComments: "none",
    logLevel: "error",
    platform,
    external,
    outfile,
    sourcemap,
    plugins: [sdk],
    absWorkingDir: dirname(job.main),
  });
}

const interfaces = ["log", "task", ...job.imports];
const local = (name) => `host_${name.replaceAll("-", "_")}`;
const entry = [
  ...interfaces.map((name) => `import * as ${local(name)} from "claiflow:plugin/${name}@1.0.0";`),
  `import { serve } from "claiflow/guest";`,
  `import ${main};`,
  `const host = { ${interfaces.map((name) => `${JSON.stringify(name)}: ${local(name)}`).join(", ")} };`,
  `export const handler = serve(${plugin}, host);`,
];
const describing = [
  `import { writeFileSync } from "node:fs";`,
  `import { describe } from "claiflow/guest";`,
  `import ${main};`,
  `writeFileSync(process.argv[2], JSON.stringify(describe(${plugin})));`,
];

try {
  await mkdir(job.work, { recursive: true });
  await bundle(entry.join("\n"), join(job.work, "plugin.js"), "neutral", ["claiflow:*", "wasi:*"]);
  await bundle(describing.join("\n"), join(job.work, "describe.mjs"), "node", [], "inline");
} catch (error) {
  // esbuild has said what is wrong, and where.
  if (!error.errors) console.error(error);
  if (error.errors?.some(({ text }) => text.startsWith("Could not resolve"))) {
    console.error(`packages are there after \`npm install\` in ${dirname(job.main)}; modules of Node.js are in no component`);
  }
  process.exit(1);
}
// A mistake is shown where it stands in the author's module.
const script = ["--enable-source-maps", join(job.work, "describe.mjs"), join(job.work, "description.json")];
const described = spawnSync(process.execPath, script, { stdio: ["ignore", "inherit", "inherit"] });
process.exit(described.status ?? 1);
