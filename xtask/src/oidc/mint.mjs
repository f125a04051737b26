// A token that no provider would give: `node mint.mjs KEYS HEADER CLAIMS` signs with the first key of a file, or not at all.
import { readFileSync } from 'node:fs';
import { CompactSign, importJWK } from 'jose';

const [file, head, claims] = process.argv.slice(2);
const header = JSON.parse(head);
const part = (text) => Buffer.from(text).toString('base64url');

if (header.alg === 'none') {
  console.log(`${part(head)}.${part(claims)}.`);
} else if (header.alg.startsWith('HS')) {
  // The mistake of checking such a signature with what is public: the name of a key.
  const secret = new TextEncoder().encode(header.kid.padEnd(64, ' '));
  console.log(await new CompactSign(Buffer.from(claims)).setProtectedHeader(header).sign(secret));
} else {
  const [own] = JSON.parse(readFileSync(file, 'utf8'));
  const key = await importJWK(own, header.alg);
  console.log(await new CompactSign(Buffer.from(claims)).setProtectedHeader(header).sign(key));
}
