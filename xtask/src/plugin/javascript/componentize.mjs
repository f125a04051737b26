// Makes `plugin.wasm` of `plugin.js` and the plugin's world. Its argument is a JSON object, written by `javascript.rs`.

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { componentize } from "@bytecodealliance/componentize-js";

const job = JSON.parse(process.argv[2]);
const disableFeatures = job.http ? ["fetch-event"] : ["fetch-event", "http"];
try {
  const { component } = await componentize({
    sourcePath: join(job.work, "plugin.js"),
    witPath: join(job.work, "wit"),
    worldName: job.world,
    disableFeatures,
  });
  await writeFile(join(job.work, "plugin.wasm"), component);
} catch (error) {
  console.error(error.message ?? error);
  process.exit(1);
}
