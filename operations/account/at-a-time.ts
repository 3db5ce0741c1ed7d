/**
 * Runs `work` for each item, `n` at a time. After a failure it starts nothing more and waits for what is under way.
 *
 * @throws the first failure
 */
export async function atATime<T>(
  n: number,
  items: Iterable<T>,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const queue = items[Symbol.iterator]()
  let failure: { error: unknown } | null = null
  const take = async () => {
    for (let next = queue.next(); !next.done && !failure; next = queue.next()) {
      await work(next.value).catch((error) => {
        failure ??= { error }
      })
    }
  }
  await Promise.all(Array.from({ length: n }, take))
  if (failure) throw (failure as { error: unknown }).error
}
