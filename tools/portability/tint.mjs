// Has Dawn make a pipeline of every module: its Tint reads them by the rules of browsers, which are stricter than naga's.
//
//   node tint.mjs WEBGPU FOLDER RESULTS
//
// WEBGPU is index.js of npm's package webgpu, FOLDER and RESULTS are as in main.rs. Dawn stands still now and then, at other
// modules each time: the program ends then, and a module is given up when it was tried three times.

import fs from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const [webgpu, folder, results] = process.argv.slice(2);
const { create, globals } = await import(pathToFileURL(webgpu));
Object.assign(globalThis, globals);
const gpu = create(['backend=vulkan', 'enable-dawn-features=allow_unsafe_apis']);
const adapter = await gpu.requestAdapter();
if (!adapter) {
  console.error('Dawn finds no adapter');
  process.exit(2);
}
const features = ['shader-f16', 'subgroups'].filter((feature) => adapter.features.has(feature));
const limits = ['maxStorageBuffersPerShaderStage', 'maxComputeWorkgroupStorageSize', 'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX', 'maxComputeWorkgroupSizeY', 'maxComputeWorkgroupSizeZ'];
const device = await adapter.requestDevice({
  requiredFeatures: features,
  requiredLimits: Object.fromEntries(limits.map((limit) => [limit, adapter.limits[limit]])),
});
device.addEventListener('uncapturederror', () => {});

const lines = fs.existsSync(results) ? fs.readFileSync(results, 'utf8').split('\n') : [];
if (lines.at(-1)) fs.appendFileSync(results, '\n');
const isDone = (stem) => {
  const tried = lines.filter((line) => line.split('\t')[0] === stem);
  return tried.length === 3 || tried.some((line) => line.includes('\t'));
};
const oneLine = (text) => text.replace(/\s+/g, ' ').trim();
for (const file of fs.readdirSync(folder).filter((file) => file.endsWith('.wgsl')).sort()) {
  const stem = file.slice(0, -'.wgsl'.length);
  if (isDone(stem)) continue;
  // naga 30 knows subgroup operations without the directive, and refuses it.
  const text = fs.readFileSync(path.join(folder, file), 'utf8');
  const code = /\bsubgroup(?!s\b)/.test(text) && features.includes('subgroups') ? `enable subgroups;\n${text}` : text;
  fs.appendFileSync(results, stem);
  const late = setTimeout(() => process.exit(3), 60_000);
  const start = process.cpuUsage();
  const module = device.createShaderModule({ code });
  const messages = (await module.getCompilationInfo()).messages.filter((message) => message.type === 'error');
  let outcome = messages.map((message) => `${message.lineNum}: ${message.message}`).join(' ') || 'ok';
  if (outcome === 'ok') {
    const compute = { module, entryPoint: 'main' };
    await device.createComputePipelineAsync({ layout: 'auto', compute }).catch((error) => { outcome = error.message; });
  }
  const { user, system } = process.cpuUsage(start);
  clearTimeout(late);
  fs.appendFileSync(results, `\t${((user + system) / 1e6).toFixed(4)}\t${oneLine(outcome)}\n`);
}
process.exit(0);
