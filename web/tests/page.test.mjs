// The page in a real browser with live data: every view renders, and what a reader does has its effect.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openPage, rest, startBrowser, startNode } from './node.mjs';

let node, browser, host;

before(async () => {
  node = await startNode();
  browser = await startBrowser();
  for (let tries = 0; tries < 600 && !host; tries += 1) {
    const { instances } = await (await fetch(`${node.url}/api/v1/instances`)).json();
    host = instances.find(({ kind, judgement }) => kind === 'host' && judgement)?.id;
    if (!host) await rest(500);
  }
  assert.ok(host, 'a machine with a score');
});
after(async () => {
  await browser?.close();
  await node?.stop();
});

const hashOf = (page) => page.evaluate(() => location.hash);
const instance = (tab) => `#/i/${encodeURIComponent(host)}${tab ? `?tab=${tab}` : ''}`;

/** Runs with a page that must not have complained at its end. */
async function look(hash, work, options) {
  const page = await openPage(browser, node.url, hash, options);
  try {
    await work(page);
    assert.deepEqual(page.wrong, []);
  } finally {
    await page.context().close();
  }
}

test('a strict policy, three files, and something to see before the first answer', () => look('', async (page) => {
  const policy = (await fetch(`${node.url}/`)).headers.get('content-security-policy') ?? '';
  if (!process.env.FORETWIN_URL) {
    assert.match(policy, /default-src 'none'/);
    assert.doesNotMatch(policy, /unsafe/);
  }
  await page.getByText('Asking for the instances').waitFor();
  await page.waitForFunction(() => performance.getEntriesByName('first-contentful-paint').length === 1);
}, { before: (page) => page.route('**/api/v1/**', () => {}) }));

test('the fleet shows the machine, scores flow, filter and order are in the address', () => look('', async (page) => {
  const row = page.getByRole('row').filter({ hasText: host }).first();
  await row.locator('canvas').waitFor();
  const score = row.locator('.score');
  const seen = new Set();
  for (let i = 0; i < 120 && seen.size < 2; i += 1) {
    seen.add(await score.textContent());
    await rest(700);
  }
  assert.ok(seen.size >= 2, `the score stands still at ${[...seen]}`);
  await page.getByLabel('Filter instances').fill('nothing has this name');
  await page.getByText('No instance matches').waitFor();
  assert.match(await hashOf(page), /q=nothing/);
  await page.getByRole('button', { name: 'Show all instances' }).click();
  await page.getByText('Name', { exact: true }).click();
  assert.match(await hashOf(page), /sort=name/);
  await row.getByRole('link').click();
  await page.getByRole('heading', { level: 1, name: host }).waitFor();
}));

test('every tab of an instance renders', () => look(instance(), async (page) => {
  const tabs = {
    Overview: 'What may fail', Failure: 'Probability of still working', Causes: 'Order of propagation', Twin: 'Verdict',
    'What if': 'Before and after', Models: 'Versions', Report: null, Records: 'Planned work',
  };
  for (const [name, heading] of Object.entries(tabs)) {
    await page.getByRole('navigation', { name: 'Of this instance' }).getByRole('link', { name, exact: true }).click();
    if (heading) await page.getByRole('region', { name: heading }).first().waitFor();
    await page.waitForTimeout(800);
  }
  await page.goBack();
  assert.match(await hashOf(page), /tab=report$/);
}));

test('old addresses and the crosshair: all charts point at one moment, arrow keys walk', () => look(`#/i/${host}`, async (page) => {
  await page.locator('.charts .chart').nth(1).waitFor();
  const plots = page.locator('.charts .plot');
  await page.waitForFunction(() => document.querySelectorAll('.charts .plot canvas').length >= 2);
  await plots.nth(0).scrollIntoViewIfNeeded();
  const box = await plots.nth(0).boundingBox();
  await page.mouse.move(box.x + box.width * 0.3, box.y + 60);
  await page.locator('.charts .chart').nth(1).locator('time').waitFor();
  await page.mouse.move(5, 5);
  await plots.nth(1).focus();
  await page.keyboard.press('ArrowLeft');
  await page.locator('.charts .chart').nth(0).locator('time').waitFor();
}));

test('a brush zooms, ranks the metrics of the window, and goes back', () => look(instance(), async (page) => {
  const plot = page.locator('.strips .plot').first();
  await page.waitForFunction(() => document.querySelector('.strips .readout b')?.textContent !== '–');
  await plot.scrollIntoViewIfNeeded();
  const box = await plot.boundingBox();
  const y = box.y + box.height / 2;
  await page.mouse.move(box.x + box.width * 0.55, y);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.6, y, { steps: 4 });
  await page.mouse.move(box.x + box.width * 0.75, y, { steps: 4 });
  await page.mouse.up();
  await page.getByRole('region', { name: 'Ranked metrics of this window' }).waitFor();
  assert.match(await hashOf(page), /from=[\d.]+&to=[\d.]+/);
  await page.getByRole('button', { name: 'Back to live' }).click();
  assert.doesNotMatch(await hashOf(page), /from=/);
  await page.keyboard.press('3');
  assert.match(await hashOf(page), /range=1h/);
}));

test('metrics are chosen, and the choice is in the address', () => look(instance(), async (page) => {
  await page.locator('.charts .chart').first().waitFor();
  await page.keyboard.press('m');
  await page.getByLabel('Find a metric').fill('load_average');
  await page.locator('.options input').first().check();
  await page.locator('.charts .chart', { hasText: 'load_average' }).waitFor();
  assert.match(await hashOf(page), /metric=.*load_average/);
}));

test('keys are told, the theme turns', () => look('', async (page) => {
  await page.getByRole('table').waitFor();
  await page.keyboard.press('?');
  await page.getByRole('dialog').getByText('colour by score or risk').waitFor();
  await page.keyboard.press('Escape');
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await ground();
  await page.keyboard.press('t');
  await page.keyboard.press('t');
  assert.notEqual(await ground(), light);
}));

/** As `engine::RehearsalView` is written; a real one needs twenty minutes of telemetry before it. */
const REHEARSAL = { id: 7, instance: 'x', asked_us: 1.7e15, ahead_s: 3600, speed: 60, progress: 1, done: true, fidelity: 'process', mode: null, after_s: null,
  resolution_s: null, message: 'nothing broke', comparable: [], not_comparable: [], scenario: 'memory 1.5x',
  verified: 'verified in a process twin: nothing broke within 60 min, foreseen not at all, more likely than not: it agrees' };

test('a scenario is verified in a twin', () => {
  let asked = null;
  return look(instance('what-if'), async (page) => {
    const effect = page.locator('article.effect').first();
    await effect.getByText('not verified in a twin').waitFor();
    await effect.getByRole('button', { name: 'Verify in a twin' }).click();
    await effect.getByText('verified in a twin', { exact: true }).waitFor();
    await effect.getByText('Verified in a process twin: nothing broke').waitFor();
    assert.deepEqual(asked, { ahead: '1h', scenario: { memory: '1.5x' } });
  }, {
    before: async (page) => {
      await page.route('**/api/v1/twins/*/rehearsals', (route) => {
        asked = route.request().postDataJSON();
        return route.fulfill({ status: 202, json: { ...REHEARSAL, progress: 0, done: false, verified: undefined } });
      });
      await page.route('**/api/v1/rehearsals/7', (route) => route.fulfill({ json: REHEARSAL }));
    },
  });
});

test('a failure and planned work are recorded, and the work is ended', () => look(instance('records'), async (page) => {
  const failures = page.getByRole('region', { name: 'Failures', exact: true });
  await failures.getByLabel('What').selectOption('latency_breach');
  await failures.getByLabel('Note').fill('the shop was slow');
  await failures.getByRole('button', { name: 'Record the failure' }).click();
  await failures.getByText('Recorded: Latency breach').waitFor();
  await failures.getByRole('cell', { name: 'the shop was slow' }).waitFor();
  const work = page.getByRole('region', { name: 'Planned work', exact: true });
  await work.getByLabel('For').selectOption('2h');
  await work.getByLabel('Note').fill('a new disk');
  await work.getByRole('button', { name: 'Plan the work' }).click();
  const row = work.getByRole('row').filter({ hasText: 'a new disk' });
  await row.getByRole('button', { name: 'End it now' }).click();
  await row.getByText('over').waitFor();
}));

test('a report is made and read', () => look('#/reports', async (page) => {
  await page.getByRole('button', { name: 'Make a report' }).click();
  await page.getByRole('region', { name: 'Known issues' }).waitFor({ timeout: 60_000 });
  await page.getByRole('link', { name: 'All reports' }).click();
  await page.getByRole('region', { name: 'Made so far' }).getByRole('link', { name: host }).first().click();
  await page.getByRole('region', { name: 'Known issues' }).waitFor();
  await page.locator('.tree summary', { hasText: 'kernel' }).first().click();
  await page.locator('.tree li', { hasText: 'release' }).first().waitFor();
}));

test('predictions are held against outcomes', () => look('#/predictions', async (page) => {
  await page.getByRole('region', { name: 'Within 1 h' }).waitFor();
}));

/** As `core::Alert` is written; a real one takes longer to come than a test should last. */
const ALERT = {
  id: '1-a', state: 'firing', reason: '', kind: 'failure', mode: 'memory_exhaustion', class: 'leak', severity: 'serious',
  title: 'shop/web will probably run out of memory', opened_us: 1.7e15, last_us: 1.7e15, shown: true, team: 'shop', count: 1,
  members: [{ instance: 'shop/web', workload: 'web', kind: 'failure', mode: 'memory_exhaustion', since_us: 1.7e15, probability: 0.8,
    horizon_s: 3600, peak: 0.9, time_to_failure: { p10: 600, p50: 1200, p90: null } }],
  probability: 0.8, horizon_s: 3600, confidence: 0.7, time_to_failure: { p10: 600, p50: 1200, p90: null }, link: '/#/alerts/1-a',
};

test('an operator says what an alert was worth', () => {
  let said = null;
  return look('#/alerts', async (page) => {
    await page.getByText(ALERT.title).waitFor();
    await page.getByText('in about 20 min (over 10 min)').waitFor();
    await page.getByLabel('Note').fill('known job');
    await page.getByRole('button', { name: 'Expected' }).click();
    await page.getByText('Thank you').waitFor();
    assert.deepEqual(said, { rating: 'expected', note: 'known job' });
  }, {
    before: async (page) => {
      await page.route('**/api/v1/alerts', (route) => route.fulfill({ json: { alerts: [ALERT] } }));
      await page.route('**/api/v1/alerts/1-a/feedback', (route) => {
        said = route.request().postDataJSON();
        return route.fulfill({ json: { ...ALERT, feedback: [{ at_us: 1.7e15, ...said }] } });
      });
    },
  });
});

test('what is over tells the most that was said of it', () => look('#/alerts', async (page) => {
  await page.getByText('up to 80 % within 1 h').waitFor();
  await page.getByText('memory exhaustion up to 90 %, over').waitFor();
  assert.equal(await page.getByText('Say for how long').count(), 0);
}, {
  before: (page) => {
    const over = { ...ALERT, state: 'resolved', resolved_us: 1.7e15, members: [{ ...ALERT.members[0], probability: 0, ended_us: 1.7e15 }] };
    return page.route('**/api/v1/alerts', (route) => route.fulfill({ json: { alerts: [over] } }));
  },
}));

test('a node without alerts is explained', () => look('#/alerts', async (page) => {
  await page.getByText('This node has no alerts').waitFor();
}, { before: (page) => page.route('**/api/v1/alerts', (route) => route.fulfill({ status: 404, json: { error: { message: 'there is no such path' } } })) }));

test('a token is asked for, sent with every request, and kept for the tab', async () => {
  const page = await openPage(browser, node.url, '', {
    before: (page) => page.route('**/api/v1/**', (route) => (route.request().headers().authorization === 'Bearer secret'
      ? route.continue() : route.fulfill({ status: 401, json: { error: { message: 'a token with the scope read is needed' } } }))),
  });
  await page.getByText('a token with the scope read is needed').waitFor();
  await page.getByRole('textbox', { name: 'Token' }).fill('secret');
  await page.getByRole('button', { name: 'Use it' }).click();
  await page.getByRole('row').filter({ hasText: host }).first().waitFor();
  await page.getByText('live', { exact: true }).waitFor();
  assert.equal(await page.evaluate(() => JSON.stringify([{ ...localStorage }, Object.values(sessionStorage)])), '[{},["secret"]]');
  await page.context().close();
});

let histories = 0;
test('five thousand machines are a map and a list of which only what is seen exists', () => look('', async (page) => {
  await page.getByRole('table').waitFor();
  assert.equal(await page.locator('.stat b').first().textContent(), '5000');
  assert.ok(await page.locator('.fleet .row').count() < 80);
  await page.locator('.fleet .row').first().getByText('m-4999').waitFor();
  await page.getByRole('img', { name: 'Map of 5000 instances' }).waitFor();
  await page.evaluate(() => scrollTo(0, document.body.scrollHeight));
  await page.locator('.fleet .row[aria-rowindex="5000"]').waitFor();
  assert.equal(histories, 5);
}, {
  before: async (page) => {
    // All strips are filled in five answers.
    await page.route('**/api/v1/fleet/history?*', (route) => {
      const query = new URL(route.request().url()).searchParams;
      const [from, step, first] = [Number(query.get('from')) * 1e6, Number(query.get('step')) * 1e6, Number(query.get('cursor') ?? 0)];
      histories += 1;
      const instances = Array.from({ length: 1000 }, (_, i) => `m-${first + i}`);
      return route.fulfill({ json: { metric: 'score', from_us: from, step_us: step, cells: 2, instances, values: instances.map(() => [0.5, null]),
        next_cursor: first < 4000 ? String(first + 1000) : null } });
    });
    const one = (i) => ({
      id: `m-${i}`, host: `m-${i}`, kind: 'host', workload: 'machine', criticality: 50, alive: true, metrics: 1, first_seen_us: 1, last_seen_us: Date.now() * 1000,
      score: i / 5000, failure_probability: i / 5000, learning: { phase: 'learned', progress: 1, message: 'learned' }, top_risk: null, judgement: null,
    });
    await page.route('**/api/v1/instances', (route) => route.fulfill({ json: { instances: Array.from({ length: 5000 }, (_, i) => one(i)) } }));
    await page.route('**/api/v1/instances/*/**', (route) => route.fulfill({ json: { from_us: 0, to_us: 1, series: [], risks: [] } }));
  },
}));

test('a phone sees everything without scrolling sideways', async () => {
  for (const hash of ['', ...['', 'failure', 'causes', 'twin', 'what-if', 'models', 'report', 'records'].map(instance), '#/alerts', '#/predictions', '#/reports']) {
    await look(hash, async (page) => {
      await page.waitForTimeout(1500);
      const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.equal(over, 0, `${hash} is ${over} px too wide`);
    }, { viewport: { width: 390, height: 844 } });
  }
});
