// What the sandbox offers, by the names of the contract's interfaces: the agent's imports in a component, a played host in a test.

let host;

/** Everything from here on asks this host. */
export function attach(next) {
  host = next;
}

/** One interface of the host. */
export function outside(name) {
  if (!host) throw new Error('there is no agent here: in a test, make a host with `new Host()` of "claiflow/testing"');
  const found = host[name];
  if (!found) {
    throw new Error(`this plugin does not ask for "${name}"; add it to "capabilities" of "claiflow" in package.json`);
  }
  return found;
}
