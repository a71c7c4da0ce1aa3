// A live node in an empty directory, and a browser that looks at it.

import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const READY_MS = 300_000;

const freePort = () => new Promise((done) => {
  const server = createServer().listen(0, '127.0.0.1', () => {
    const { port } = server.address();
    server.close(() => done(port));
  });
});

export const rest = (ms) => new Promise((done) => setTimeout(done, ms));

/** Starts `FORETWIN_BIN run`, or looks at the node of FORETWIN_URL. */
export async function startNode() {
  if (process.env.FORETWIN_URL) return { url: process.env.FORETWIN_URL, stop: async () => {} };
  const data = mkdtempSync(join(tmpdir(), 'foretwin-page-'));
  const address = `127.0.0.1:${await freePort()}`;
  const child = spawn(process.env.FORETWIN_BIN ?? '../target/debug/foretwin', ['run', '--data-dir', data, '--listen', address],
    { stdio: ['ignore', 'ignore', 'inherit'] });
  const ended = new Promise((done) => child.once('exit', done));
  const stop = async () => {
    child.kill('SIGTERM');
    await ended;
    rmSync(data, { recursive: true, force: true });
  };
  const url = `http://${address}`;
  for (const until = Date.now() + READY_MS; ;) {
    const answer = await fetch(`${url}/-/ready`).catch(() => null);
    if (answer?.ok) return { url, stop };
    if (child.exitCode != null) throw new Error(`foretwin run ended with ${child.exitCode}`);
    if (Date.now() > until) {
      await stop();
      throw new Error(`not ready after ${READY_MS / 1000} s: ${await answer?.text()}`);
    }
    await rest(500);
  }
}

export const startBrowser = () => chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox'],
});

/** A page whose errors are kept: whatever it writes to the console as one, throws, or asks of another origin. */
export async function openPage(browser, url, hash = '', options = {}) {
  const context = await browser.newContext({ viewport: { width: 1400, height: 1000 }, ...options });
  // A machine that builds something beside is slow, not wrong.
  context.setDefaultTimeout(60_000);
  const page = await context.newPage();
  page.wrong = [];
  page.on('console', (message) => {
    // A node without alerts answers 404, which the browser notes and the page explains.
    const known = message.location().url.includes('/api/v1/alerts');
    if (message.type() === 'error' && !known) page.wrong.push(`${message.text()} ${message.location().url}`);
  });
  page.on('pageerror', (error) => page.wrong.push(error.stack));
  page.on('request', (request) => {
    const asked = request.url();
    if (!asked.startsWith(url) && !asked.startsWith('data:') && !asked.startsWith('blob:')) page.wrong.push(`outside: ${asked}`);
  });
  if (options.before) await options.before(page);
  await page.goto(`${url}/${hash}`);
  return page;
}
