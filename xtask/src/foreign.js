// What a page of another origin can try against `argument.api`. Each attempt says what it could read; what it changed, the server knows.
const api = argument.api;
const body = JSON.stringify({ uuid: argument.uuid, name: 'theirs' });
const seen = {};

const attempt = async (name, work) => {
  const late = new Promise((resolve) => setTimeout(() => resolve('nothing came'), 3000));
  seen[name] = await Promise.race([Promise.resolve().then(work).catch((error) => `refused: ${error}`), late]);
};

const read = async (response) => `${response.type} ${response.status} ${await response.text()}`;

const form = (enctype, action, fields) => () =>
  new Promise((resolve) => {
    const frame = document.querySelector('iframe');
    const form = Object.assign(document.createElement('form'), { method: 'post', action, enctype, target: 'sink' });
    for (const [name, value] of fields) {
      form.append(Object.assign(document.createElement('input'), { name, value }));
    }
    document.body.append(form);
    frame.onload = () => {
      try {
        resolve(`read ${frame.contentDocument.body.innerText}`);
      } catch (error) {
        resolve(`sent, not read: ${error.name}`);
      }
    };
    form.submit();
  });

const element = (tag, property, url) => () =>
  new Promise((resolve) => {
    const part = document.createElement(tag);
    part.onload = () => resolve(tag === 'iframe' ? 'shown' : 'loaded');
    part.onerror = () => resolve('not loaded');
    part[property] = url;
    document.querySelector('#pit').append(part);
  });

// A text/plain form whose one field is a JSON object with something behind it.
const [head, tail] = body.replace('}', ',"x":"SPLIT"}').split('SPLIT');
await attempt('form, plain', form('text/plain', `${api}/api/v1/cluster`, [[head, tail]]));
await attempt('form, urlencoded', form('application/x-www-form-urlencoded', `${api}/api/v1/cluster`, [['name', 'theirs']]));
await attempt('form, multipart', form('multipart/form-data', `${api}/api/v1/cluster`, [['name', 'theirs']]));
await attempt('form without a body', form('application/x-www-form-urlencoded', `${api}${argument.cancel}`, []));
for (const kind of ['text/plain', 'application/x-www-form-urlencoded', undefined]) {
  const headers = kind ? { 'content-type': kind } : {};
  const what = kind ? body : new Blob([body]);
  await attempt(`fetch, no-cors, ${kind}`, () =>
    fetch(`${api}/api/v1/cluster`, { method: 'POST', mode: 'no-cors', headers, body: what }).then(read));
}
await attempt('fetch, no-cors, no body', () => fetch(`${api}${argument.cancel}`, { method: 'POST', mode: 'no-cors' }).then(read));
await attempt('fetch, json', () =>
  fetch(`${api}/api/v1/cluster`, { method: 'POST', headers: { 'content-type': 'application/json' }, body }).then(read));
await attempt('fetch, delete', () => fetch(`${api}/api/v1/cluster/${argument.ours}`, { method: 'DELETE' }).then(read));
await attempt('fetch, put', () =>
  fetch(`${api}/api/v1/cluster/${argument.ours}`, { method: 'PUT', headers: { 'content-type': 'application/json' }, body }).then(read));
await attempt('fetch, get', () => fetch(`${api}/api/v1/cluster`).then(read));
await attempt('fetch, get, no-cors', () => fetch(`${api}/api/v1/cluster`, { mode: 'no-cors' }).then(read));
await attempt('beacon', () => String(navigator.sendBeacon(`${api}/api/v1/cluster`, new Blob([body], { type: 'text/plain' }))));
await attempt('image', element('img', 'src', `${api}/api/v1/cluster`));
await attempt('script', element('script', 'src', `${api}/api/v1/cluster`));
await attempt('frame', async () => {
  await element('iframe', 'src', `${api}/swagger/index.html`)();
  const frame = document.querySelector('#pit iframe');
  try {
    return `read ${frame.contentDocument.body.innerText}`;
  } catch (error) {
    return `not read: ${error.name}`;
  }
});
await attempt('websocket', () =>
  new Promise((resolve) => {
    const socket = new WebSocket(`${api.replace('http', 'ws')}/api/v1/cluster`);
    socket.onopen = () => resolve('opened');
    socket.onerror = () => resolve('not opened');
  }));
await attempt('event source', () =>
  new Promise((resolve) => {
    const source = new EventSource(`${api}/api/v1/cluster`);
    source.onmessage = (event) => resolve(`read ${event.data}`);
    source.onerror = () => { source.close(); resolve('not opened'); };
  }));
return seen;
