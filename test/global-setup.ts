// Before all tests: those that start the programs start what users run, which are bundles of these sources.
import { refreshBundles } from "../scripts/bundle.ts";

export default async function setup(): Promise<void> {
  await refreshBundles(() => {});
}
