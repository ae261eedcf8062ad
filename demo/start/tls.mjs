/** A self-signed certificate for this machine's names, kept for as long as they stay the same. */
import { X509Certificate } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { generate } from 'selfsigned';

const DAY_MS = 24 * 3600 * 1000;
/** Browsers refuse certificates that are valid for longer than 825 days. */
const VALID_DAYS = 365;

/** IPv4 addresses that other devices on the network may reach this one by. */
export function lanAddresses() {
  return Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(({ family, internal }) => family === 'IPv4' && !internal)
    .map(({ address }) => address);
}

function isGood(pem, addresses) {
  try {
    const certificate = new X509Certificate(pem);
    const lasts = Date.parse(certificate.validTo) > Date.now() + DAY_MS;
    return lasts && addresses.every((address) => certificate.checkIP(address) !== undefined);
  } catch {
    return false;
  }
}

/**
 * @param {string} folder where the two files are kept
 * @param {readonly string[]} [lan] addresses to name besides localhost
 * @returns paths of the certificate and its key, both PEM
 */
export async function ensureCertificate(folder, lan = lanAddresses()) {
  const cert = join(folder, 'cert.pem');
  const key = join(folder, 'key.pem');
  const addresses = ['127.0.0.1', ...lan];
  const kept = await Promise.all([readFile(cert, 'utf8'), readFile(key, 'utf8')]).catch(() => undefined);
  if (kept !== undefined && isGood(kept[0], addresses)) return { cert, key };

  const made = await generate([{ name: 'commonName', value: 'localhost' }], {
    keySize: 2048,
    algorithm: 'sha256',
    notBeforeDate: new Date(Date.now() - DAY_MS),
    notAfterDate: new Date(Date.now() + VALID_DAYS * DAY_MS),
    extensions: [
      { name: 'basicConstraints', cA: false },
      {
        name: 'subjectAltName',
        altNames: [{ type: 2, value: 'localhost' }, ...addresses.map((ip) => ({ type: 7, ip }))],
      },
    ],
  });
  await mkdir(folder, { recursive: true });
  await writeFile(key, made.private, { mode: 0o600 });
  await writeFile(cert, made.cert);
  return { cert, key };
}
