// The version of the three programs; the same as in package.json.

export const PROGRAM_VERSION = "0.1.0";
