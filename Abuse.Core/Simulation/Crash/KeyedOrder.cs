namespace Abuse.Core;

/// <summary>
/// Whether what was found of all keys is what some of the operations left, each done at one moment between its beginning and its end: all that
/// must be there, and of no operation a part.
/// </summary>
internal sealed class KeyedOrder<TKey, TValue>(KeyedPromise promise, long point, long synced)
    where TKey : notnull
{
    /// <summary>Tries every way to say which operation is the last one seen of each key, the newest first.</summary>
    /// <returns>What is wrong; null if nothing is, or too many ways would have to be tried.</returns>
    internal string? FindContradiction(List<KeyedSight<TKey, TValue>> seen)
    {
        int[] candidates = [.. seen.Select(static sight => sight.Candidates.Length - 1)];
        KeyedOperation<TKey, TValue>?[] last = [.. seen.Select(static sight => sight.Candidates[^1])];
        string? contradiction = null;
        for (int tries = 0; tries <= KeyedJudge<TKey, TValue>.MostTries; tries++)
        {
            string? found = Contradiction(seen, last);
            if (found is null)
            {
                return null;
            }

            contradiction ??= found;
            if (!Advance(seen, candidates, last))
            {
                return contradiction;
            }
        }

        return null;
    }

    /// <summary>Goes to the next way, the last key's candidate first; false after all.</summary>
    private static bool Advance(List<KeyedSight<TKey, TValue>> seen, int[] candidates, KeyedOperation<TKey, TValue>?[] last)
    {
        for (int key = seen.Count; key-- > 0;)
        {
            bool isOver = candidates[key] == 0;
            candidates[key] = isOver ? seen[key].Candidates.Length - 1 : candidates[key] - 1;
            last[key] = seen[key].Candidates[candidates[key]];
            if (!isOver)
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>What contradicts one way.</summary>
    private string? Contradiction(List<KeyedSight<TKey, TValue>> seen, KeyedOperation<TKey, TValue>?[] last)
    {
        // The moment of an operation is as early as can be: of what is seen last after all else on its key, of everything else its beginning.
        var moments = new Dictionary<KeyedOperation<TKey, TValue>, long>();
        foreach (KeyedOperation<TKey, TValue>? operation in last)
        {
            if (operation is not null)
            {
                moments[operation] = operation.Begin;
            }
        }

        for (int round = 0; round <= moments.Count + 1; round++)
        {
            long horizon = promise == KeyedPromise.Durable ? point : moments.Values.Append(synced).Max();
            bool isSettled = true;
            for (int i = 0; i < seen.Count; i++)
            {
                foreach (KeyedOperation<TKey, TValue> change in seen[i].Changes)
                {
                    if (change == last[i] || !(moments.TryGetValue(change, out long moment) || IsThere(change, horizon)))
                    {
                        continue;
                    }

                    moment = Math.Max(moment, change.Begin);
                    if (last[i] is not { } after || moment >= after.EndAt(point))
                    {
                        return Explain(seen, last, i, change);
                    }

                    if (moments[after] < moment)
                    {
                        moments[after] = moment;
                        isSettled = false;
                    }
                }
            }

            if (isSettled && horizon >= moments.Values.DefaultIfEmpty(-1).Max())
            {
                return FindCircle(seen, last);
            }
        }

        return null;
    }

    /// <summary>Whether an operation that nobody sees must be there, if all that happened until a moment is.</summary>
    private bool IsThere(KeyedOperation<TKey, TValue> operation, long horizon) =>
        operation.IsAcknowledgedAt(point) && operation.EndAt(point) <= horizon;

    /// <summary>Two operations of which each is seen on one key and must have come before the other on another.</summary>
    private static string? FindCircle(List<KeyedSight<TKey, TValue>> seen, KeyedOperation<TKey, TValue>?[] last)
    {
        var after = new Dictionary<KeyedOperation<TKey, TValue>, HashSet<int>>();
        HashSet<KeyedOperation<TKey, TValue>> visible = [.. last.OfType<KeyedOperation<TKey, TValue>>()];
        for (int i = 0; i < seen.Count; i++)
        {
            foreach (KeyedOperation<TKey, TValue> change in seen[i].Changes.Where(change => change != last[i] && visible.Contains(change)))
            {
                (after.TryGetValue(change, out HashSet<int>? keys) ? keys : after[change] = []).Add(i);
            }
        }

        // Whoever comes before nobody is the last of all, and need not be looked at again.
        bool removed = true;
        while (removed)
        {
            removed = false;
            foreach ((KeyedOperation<TKey, TValue> operation, HashSet<int> keys) in after)
            {
                if (keys.All(key => last[key] is { } next && !after.ContainsKey(next)))
                {
                    after.Remove(operation);
                    removed = true;
                    break;
                }
            }
        }

        if (after.Count == 0)
        {
            return null;
        }

        (KeyedOperation<TKey, TValue> first, HashSet<int> on) = after.First();
        return Explain(seen, last, on.First(), first);
    }

    private static string Explain(
        List<KeyedSight<TKey, TValue>> seen, KeyedOperation<TKey, TValue>?[] last, int index, KeyedOperation<TKey, TValue> missing)
    {
        int shown = Array.IndexOf(last, missing);
        string why = shown >= 0
            ? $"is seen on key {KeyedContent.Show(seen[shown].Key)} and not on key {KeyedContent.Show(seen[index].Key)}, which has {seen[index].Found}: an operation is whole or not there at all"
            : $"is missing on key {KeyedContent.Show(seen[index].Key)}, which has {seen[index].Found}, though what came after it is there";
        return $"The operation that made {string.Join(", ", missing.Changes.Take(4).Select(static change => $"key {KeyedContent.Show(change.Key)} {change.Value}"))} {why}.";
    }
}
