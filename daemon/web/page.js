// The status page: asks once a second and shows what changed. Every text is put in as text, never as markup.
'use strict';
let shown = null;

function node(name, text, kind) {
  const e = document.createElement(name);
  if (text !== undefined) e.textContent = text;
  if (kind) e.className = kind;
  return e;
}

async function get(path) {
  const answer = await fetch(path, { cache: 'no-store' });
  if (!answer.ok) throw new Error(path + ': ' + answer.status);
  return answer.json();
}

function number(x, digits) {
  return typeof x === 'number' ? x.toLocaleString('en', { maximumFractionDigits: digits }) : '';
}

function line(p) {
  const metrics = Object.entries(p.metrics || {}).map(([k, v]) => k + ' ' + number(v, 4)).join(', ');
  const step = p.validation_step ? `validation step ${p.validation_step} of ${p.validation_steps}` : `step ${p.step} of ${p.steps}`;
  return `epoch ${p.epoch + 1} of ${p.epochs}, ${step}; ${metrics}; ` +
    `${number(p.samples_per_second, 0)} samples/s, waits ${number(100 * (p.wait_share || 0), 1)} %, ` +
    `${p.workers} workers, ${p.queue} of ${p.prefetch} batches ready, ${number(p.eta_seconds, 0)} s to go` +
    (p.choice ? `; ${p.choice}` : '');
}

function job(j) {
  const box = node('div', undefined, 'job');
  const name = node('button', j.job);
  name.addEventListener('click', () => { shown = j.job; tick(); });
  box.append(name, ' ', node('span', j.state));
  if (j.reason) box.append(node('p', (j.path ? j.path + ': ' : '') + j.reason, 'reason'));
  const p = j.progress;
  if (p) {
    const bar = node('progress');
    bar.max = Math.max(1, p.epochs * p.steps);
    bar.value = j.state === 'finished' ? bar.max : p.global_step;
    bar.setAttribute('aria-label', 'progress of ' + j.job);
    box.append(bar, node('div', line(p)));
  }
  if (j.model) box.append(node('div', j.model));
  return box;
}

function rows(id, list, cells) {
  document.getElementById(id).replaceChildren(...list.map((item) => {
    const row = node('tr');
    row.append(...cells(item).map((c) => node('td', c)));
    return row;
  }));
}

function curve(history) {
  const svg = document.getElementById('curve');
  const points = history.map((h) => (h.metrics || {}).loss).filter((v) => Number.isFinite(v));
  const most = Math.max(...points, 1e-9);
  const line = document.createElementNS('http://www.w3.org/2000/svg', 'polyline');
  const label = document.createElementNS('http://www.w3.org/2000/svg', 'text');
  line.setAttribute('points', points.map((v, i) => `${10 + 580 * i / Math.max(1, points.length - 1)},${150 - 140 * v / most}`).join(' '));
  label.setAttribute('x', '10');
  label.setAttribute('y', '12');
  label.textContent = points.length ? 'loss, greatest ' + number(most, 4) : 'no epoch has ended yet';
  svg.replaceChildren(line, label);
}

async function tick() {
  const state = document.getElementById('state');
  try {
    const [status, jobs, workers, datasets] = await Promise.all(
      ['api/v1/status', 'api/v1/jobs', 'api/v1/workers', 'api/v1/datasets'].map(get));
    state.textContent = `version ${status.version}, ${status.state}, up ${number(status.uptime_seconds, 0)} s`;
    document.getElementById('jobs').replaceChildren(
      ...(jobs.jobs.length ? jobs.jobs.slice(0, 100).map(job) : [node('p', 'no jobs yet')]));
    rows('workers', workers.workers, (w) => [w.job, w.role, w.worker, w.pid, w.state, w.restarts, w.reason]);
    rows('datasets', datasets.datasets, (d) => [d.name, d.kind, number(d.files, 0), number(d.bytes, 0), d.created]);
    const detail = document.getElementById('detail');
    detail.hidden = shown === null;
    if (shown !== null) {
      const one = await get('api/v1/jobs/' + encodeURIComponent(shown));
      document.getElementById('detail-name').textContent = one.job;
      document.getElementById('detail-text').textContent = JSON.stringify(one, null, 1);
      curve(one.history || []);
    }
  } catch (e) {
    state.textContent = 'no answer: ' + e.message;
  }
}

tick();
setInterval(tick, 1000);
