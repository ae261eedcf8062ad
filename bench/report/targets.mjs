/** What is aimed at: regret of a grid's scenarios, the share of them that are near the better pure plan, and how near that is. */
export const TARGETS = { mean: 0.03, p95: 0.1, near: 0.99, nearRatio: 1.05 };
