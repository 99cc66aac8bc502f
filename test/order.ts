// In what order test files run: those that start real processes first, which take up to a minute each, then the larger before
// the smaller. Else a worker may come to the longest one last, and work alone while the other has nothing left.
import { BaseSequencer, type TestSpecification } from "vitest/node";

const isEndToEnd = ({ project, moduleId }: TestSpecification) =>
  moduleId.slice(project.config.root.length).startsWith("/test/");

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    return [...sorted.filter(isEndToEnd), ...sorted.filter((file) => !isEndToEnd(file))];
  }
}
