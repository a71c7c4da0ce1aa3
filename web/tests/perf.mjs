// What the page costs: script and layout time at twenty updates a second on six charts, and with a fleet of 5,000.
//
// Not a test, a measurement: `node tests/perf.mjs [SECONDS]`. The server here is a load generator: it serves the bundle, and
// answers as a node would whose instance sends twenty frames a second. `node tests/perf.mjs serve` only serves, to look at it.

import { createReadStream } from 'node:fs';
import { createServer } from 'node:http';
import { openPage, rest, startBrowser } from './node.mjs';

const SECONDS = Number(process.argv[2]) || 20;
const RATE = 20;
const FLEET = 5000;
const METRICS = ['cpu.busy', 'memory.usage', 'disk.io', 'network.io', 'pressure.cpu', 'io.bytes'].map((key) => `system.${key}`);
const TYPES = { html: 'text/html', js: 'text/javascript', css: 'text/css' };

const value = (k, at) => 50 + 20 * Math.sin(at / (7e6 + k * 1e6)) + ((at / 50_000 + k * 7) % 5);
/** One machine in a hundred or so is in trouble, now and then. */
const scoreOf = (i, at) => {
  const calm = 0.25 + 0.2 * Math.sin(at / 40e6 + i) ** 2 + 0.1 * Math.random();
  return (i * 7919) % 331 < 3 ? calm + 1.6 * Math.max(0, Math.sin(at / 90e6 + i)) : calm;
};
const riskOf = (i) => ((i * 7919) % 331 === 1 ? 0.2 + (i % 60) / 100 : 0.0004);

const instance = (id, i) => ({
  id, host: id, kind: 'host', workload: 'machine', criticality: 50, alive: true, metrics: 6, first_seen_us: 1, last_seen_us: Date.now() * 1000,
  score: scoreOf(i, Date.now() * 1000), failure_probability: riskOf(i), learning: { phase: 'learned', progress: 1, message: 'learned' },
  top_risk: riskOf(i) > 0.1 ? { mode: 'memory_exhaustion', metric: METRICS[1], probability: riskOf(i), p50_s: riskOf(i) > 0.5 ? 1800 : null } : null,
  judgement: { at_us: Date.now() * 1000, score: 0.5, contributions: METRICS.slice(0, 5).map((metric) => ({ metric, observed: 1, expected: { mean: 1, scale: 1 }, share: 0.2 })) },
});

function window(id, query) {
  const now = Date.now() * 1000;
  const from = query.get('from').startsWith('-') ? now - 300e6 : Number(query.get('from')) * 1e6;
  const step = Math.max(1e6 / RATE, (now - from) / Number(query.get('points')));
  const at = Array.from({ length: Math.floor((now - from) / step) }, (_, i) => Math.round(from + (i + 1) * step));
  const series = query.getAll('metric').map((metric, k) => ({
    metric, unit: '1', at_us: at, observed: at.map((t) => (metric.startsWith('foretwin.anomaly') ? scoreOf(Number(id), t)
      : metric.startsWith('foretwin') ? riskOf(Number(id)) : value(k, t))), expected: at.map((t) => value(k, t) - 2), scale: at.map(() => 3),
  }));
  return { from_us: from, to_us: now, series };
}

function history(query) {
  const [from, step, now] = [Number(query.get('from')) * 1e6, Number(query.get('step')) * 1e6, Date.now() * 1000];
  const cells = Math.ceil((now - from) / step);
  const first = Number(query.get('cursor') ?? 0);
  const ids = Array.from({ length: 1000 }, (_, i) => first + i);
  const of = (i, at) => Number((query.get('metric') === 'risk' ? riskOf(i) : scoreOf(i, at)).toFixed(4));
  return { metric: query.get('metric'), from_us: from, step_us: step, cells, instances: ids.map((i) => `m-${i}`),
    values: ids.map((i) => Array.from({ length: cells }, (_, k) => of(i, from + k * step))), next_cursor: first + 1000 < FLEET ? String(first + 1000) : null };
}

function answer(url, response) {
  const path = url.pathname.replace('/api/v1/', '');
  const json = (body) => response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  if (path === 'stream') {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const one = url.searchParams.get('instance');
    const timer = setInterval(() => {
      const at_us = Date.now() * 1000;
      const ids = one ? [one] : Array.from({ length: FLEET / RATE }, () => `m-${Math.floor(Math.random() * FLEET)}`);
      for (const instance of ids) {
        response.write(`event: score\ndata: ${JSON.stringify({ event: 'score', instance, at_us, score: scoreOf(Number(instance.slice(2)), at_us),
          failure_probability: riskOf(Number(instance.slice(2))) })}\n\n`);
      }
    }, 1000 / RATE);
    return response.on('close', () => clearInterval(timer));
  }
  if (path === 'instances') return json({ instances: Array.from({ length: FLEET }, (_, i) => instance(`m-${i}`, i)) });
  if (path === 'fleet/history') return json(history(url.searchParams));
  if (path.endsWith('/window')) return json(window(path.replace(/\D/g, ''), url.searchParams));
  if (path.endsWith('/metrics')) return json({ metrics: METRICS.map((key) => ({ key, kind: 'gauge', unit: '1', role: 'utilization' })) });
  if (/^instances\/[^/]+$/.test(path)) return json(instance('m-1', 1));
  if (path.endsWith('/risks')) return json({ risks: [{ mode: 'memory_exhaustion', metric: METRICS[1], time_to_failure: { p10: 900, p50: 1800, p90: 5400 } }] });
  if (path === 'twin/predict') return json({ risks: [], root_causes: [], recommended_actions: [], probabilities: [], confidence: 0, failure_probability: 0 });
  if (path.startsWith('alerts')) return json({ alerts: [] });
  if (path.startsWith('models')) return json({ lines: [] });
  return response.writeHead(404, { 'content-type': 'application/json' }).end('{"error":{"message":"not here"}}');
}

const server = createServer((request, response) => {
  const url = new URL(request.url, 'http://x');
  if (url.pathname.startsWith('/api/')) return answer(url, response);
  const file = url.pathname === '/' ? 'index.html' : url.pathname.slice(1).replaceAll('/', '');
  response.setHeader('content-type', TYPES[file.split('.').pop()] ?? 'text/plain');
  return createReadStream(new URL(`../../crates/serve/page/${file}`, import.meta.url)).on('error', () => response.writeHead(404).end()).pipe(response);
}).listen(0, '127.0.0.1');
await new Promise((done) => server.once('listening', done));
const base = `http://127.0.0.1:${server.address().port}`;
if (process.argv[2] === 'serve') {
  console.log(base);
  await new Promise(() => {});
}
const browser = await startBrowser();

async function measure(name, hash) {
  const page = await openPage(browser, base, hash);
  await rest(5000);
  const painted = await page.evaluate(() => performance.getEntriesByName('first-contentful-paint')[0].startTime);
  const session = await page.context().newCDPSession(page);
  await session.send('Performance.enable');
  const read = async () => Object.fromEntries((await session.send('Performance.getMetrics')).metrics.map((one) => [one.name, one.value]));
  const before = await read();
  await rest(SECONDS * 1000);
  const now = await read();
  const share = (key) => `${((100 * (now[key] - before[key])) / (now.Timestamp - before.Timestamp)).toFixed(1)} %`;
  console.log(`${name}: first paint ${painted.toFixed(0)} ms; script ${share('ScriptDuration')}, layout ${share('LayoutDuration')}, `
    + `style ${share('RecalcStyleDuration')}, all tasks ${share('TaskDuration')} of a core; heap ${(now.JSHeapUsedSize / 1e6).toFixed(0)} MB`);
  await page.context().close();
}

await measure(`six charts and two strips, ${RATE} updates a second`, '#/i/m-1?range=5m');
await measure(`fleet of ${FLEET}, ${FLEET} scores a second`, '#/');
await browser.close();
server.closeAllConnections();
server.close();
