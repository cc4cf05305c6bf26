import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

/** PEM files of an authority, of a server on the loopback, and of clients that the authority knows and does not. */
export interface Certificates {
  authority: string;
  server: Pair;
  client: Pair;
  stranger: Pair;
}

export interface Pair {
  certificate: string;
  key: string;
}

export function makeCertificates(directory: string): Certificates {
  const openssl = (...args: string[]): void => {
    execFileSync('openssl', args, { cwd: directory, timeout: 10_000, stdio: 'pipe' });
  };
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  const authority = (name: string): void =>
    openssl(
      'req',
      '-x509',
      ...key,
      '-subj',
      `/CN=${name}`,
      '-days',
      '2',
      '-keyout',
      `${name}-key.pem`,
      '-out',
      `${name}.pem`,
    );
  const signed = (name: string, by: string, extension: string): Pair => {
    const file = (kind: string): string => path.join(directory, `${name}${kind}`);
    writeFileSync(file('.ext'), extension);
    openssl('req', ...key, '-subj', `/CN=${name}`, '-keyout', `${name}-key.pem`, '-out', `${name}.csr`);
    openssl(
      'x509',
      '-req',
      '-in',
      `${name}.csr`,
      '-CA',
      `${by}.pem`,
      '-CAkey',
      `${by}-key.pem`,
      '-CAcreateserial',
      '-days',
      '2',
      '-extfile',
      `${name}.ext`,
      '-out',
      `${name}.pem`,
    );
    return { certificate: file('.pem'), key: file('-key.pem') };
  };
  authority('authority');
  authority('elsewhere');
  return {
    authority: path.join(directory, 'authority.pem'),
    server: signed(
      'server',
      'authority',
      'subjectAltName=IP:127.0.0.1,DNS:localhost\nextendedKeyUsage=serverAuth\n',
    ),
    client: signed('client', 'authority', 'extendedKeyUsage=clientAuth\n'),
    stranger: signed('stranger', 'elsewhere', 'extendedKeyUsage=clientAuth\n'),
  };
}

export function pem({ certificate, key }: Pair): { cert: Buffer; key: Buffer } {
  return { cert: readFileSync(certificate), key: readFileSync(key) };
}
