/** This client's version; a test keeps it in step with package.json. */
export const CLIENT_VERSION = '0.1.0';
