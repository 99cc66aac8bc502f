// What `npm ci` does behind the installation: bundles the programs (bundle.ts), which makes them faster. Where that cannot be
// done they run from their sources, so nothing here fails an installation. Plain JavaScript: any Node may run it.
try {
  const { refreshBundles } = await import("./bundle.ts");
  await refreshBundles(() => {});
} catch (error) {
  const why = error instanceof Error ? error.message.split("\n")[0] : String(error);
  console.warn(`weft: the programs are not bundled, and run from their sources, somewhat slower: ${why}`);
}
