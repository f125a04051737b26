// A provider with two clients whose tokens have different claims: `node provider.mjs PORT KEYS`, where KEYS is a file of private
// keys that is made when it is not there.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { exportJWK, generateKeyPair } from 'jose';
import { Provider } from 'oidc-provider';

const [port, file] = process.argv.slice(2);

// What each client's tokens say beside the usual.
const CLAIMS = {
  reader: { roles: ['claiflow-viewers', 'others'], clusters: '*' },
  operator: { roles: ['claiflow-operators'], clusters: ['00000000000000000000000000000000'] },
  stranger: { roles: ['others'], clusters: '*' },
  boundless: { roles: ['claiflow-admins'] },
};

async function key(kid, alg) {
  const { privateKey } = await generateKeyPair(alg, { extractable: true });
  return { ...(await exportJWK(privateKey)), kid, alg, use: 'sig' };
}

if (!existsSync(file)) {
  const name = `${Date.now()}`;
  writeFileSync(file, JSON.stringify([await key(`rsa-${name}`, 'RS256'), await key(`ec-${name}`, 'ES256')]));
}

const provider = new Provider(`http://127.0.0.1:${port}`, {
  jwks: { keys: JSON.parse(readFileSync(file, 'utf8')) },
  clients: Object.keys(CLAIMS).map((name) => ({
    client_id: name,
    client_secret: `${name}-secret`,
    grant_types: ['client_credentials'],
    redirect_uris: [],
    response_types: [],
  })),
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      // The last word of the resource says for whom the token is and how it is signed: `urn:AUDIENCE:ALGORITHM`.
      getResourceServerInfo(_, resource) {
        const [, audience, alg] = resource.split(':');
        return { audience, scope: '', accessTokenFormat: 'jwt', jwt: { sign: { alg } } };
      },
    },
  },
  extraTokenClaims: (_, token) => CLAIMS[token.clientId],
  clientBasedCORS: () => false,
});

provider.listen(Number(port), '127.0.0.1', () => console.log('listening'));
