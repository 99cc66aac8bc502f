// A tree of labelled lines, drawn with the usual box characters.

export interface TreeNode {
  readonly label: string;
  readonly children?: readonly TreeNode[];
}

/** The root's label, then its descendants, one line each. */
export function treeLines(root: TreeNode): string[] {
  const lines = [root.label];
  addChildren(root.children ?? [], "", lines);
  return lines;
}

function addChildren(children: readonly TreeNode[], indent: string, lines: string[]): void {
  children.forEach((child, index) => {
    const isLast = index === children.length - 1;
    lines.push(`${indent}${isLast ? "└─ " : "├─ "}${child.label}`);
    addChildren(child.children ?? [], `${indent}${isLast ? "   " : "│  "}`, lines);
  });
}
