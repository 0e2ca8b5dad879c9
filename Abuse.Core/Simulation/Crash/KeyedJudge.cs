using System.Text;

namespace Abuse.Core;

/// <summary>What a <see cref="KeyedOracle{TKey, TValue}"/> knows when nothing more is told, and the judgement. Immutable.</summary>
internal sealed class KeyedJudge<TKey, TValue>(
    Dictionary<TKey, KeyedOperation<TKey, TValue>[]> keys,
    KeyedOperation<TKey, TValue>[] operations,
    KeyedPromise promise,
    IEqualityComparer<TValue> values)
    where TKey : notnull
{
    /// <summary>How many ways are tried to tell which of several operations with the same value is seen.</summary>
    internal const int MostTries = 1000;

    private const int MostSaid = 3;

    /// <summary>Whether the keys have to do with each other.</summary>
    private readonly bool _isJoined = promise == KeyedPromise.Prefix || operations.Any(static operation => operation.Changes.Count > 1);

    internal IEnumerable<TKey> Keys => keys.Keys;

    internal bool Knows(TKey key) => keys.ContainsKey(key);

    internal CrashVerdict Judge(long point, Func<TKey, KeyedContent<TValue>> find)
    {
        long synced = operations.Where(operation => operation.IsSync && operation.IsAcknowledgedAt(point)).Max(static operation => (long?)operation.Begin) ?? -1;
        var wrong = new List<string>();
        var lost = new List<string>();
        var seen = new List<KeyedSight<TKey, TValue>>();
        foreach ((TKey key, KeyedOperation<TKey, TValue>[] changes) in keys)
        {
            KeyedContent<TValue> found = find(key);
            KeyedOperation<TKey, TValue>?[] allowed = [.. Allowed(changes, point, synced)];
            KeyedOperation<TKey, TValue>?[] same = [.. allowed.Where(operation => IsSame(ContentOf(operation, key), found))];
            if (found.Loss is not null)
            {
                // To say of nothing that it is lost is no loss.
                if (!Array.Exists(allowed, operation => !ContentOf(operation, key).HasValue))
                {
                    lost.Add(Explain(key, found, changes, allowed, point));
                }
            }
            else if (same.Length == 0)
            {
                wrong.Add(Explain(key, found, changes, allowed, point));
            }
            else
            {
                seen.Add(new KeyedSight<TKey, TValue>(key, found, same, changes));
            }
        }

        if (wrong.Count == 0 && _isJoined && new KeyedOrder<TKey, TValue>(promise, point, synced).FindContradiction(seen) is { } torn)
        {
            wrong.Add(torn);
        }

        return wrong.Count != 0 ? CrashVerdict.SilentWrong(Join(wrong))
            : lost.Count != 0 ? CrashVerdict.DetectedLoss(Join(lost))
            : CrashVerdict.Recovered;
    }

    /// <summary>Operations that may be the last one seen of a key; null for none of them.</summary>
    private IEnumerable<KeyedOperation<TKey, TValue>?> Allowed(KeyedOperation<TKey, TValue>[] changes, long point, long synced)
    {
        // What must be there: the last of them to begin is followed by nothing but what had not ended then.
        long last = long.MinValue;
        foreach (KeyedOperation<TKey, TValue> operation in changes)
        {
            bool mustBe = operation.IsAcknowledgedAt(point) && (promise == KeyedPromise.Durable || operation.EndAt(point) <= synced);
            last = mustBe ? Math.Max(last, operation.Begin) : last;
        }

        if (last == long.MinValue)
        {
            yield return null;
        }

        foreach (KeyedOperation<TKey, TValue> operation in changes)
        {
            if (operation.Begin <= point && operation.EndAt(point) > last)
            {
                yield return operation;
            }
        }
    }

    private static KeyedContent<TValue> ContentOf(KeyedOperation<TKey, TValue>? operation, TKey key) =>
        operation is null ? default : operation.Changes[key];

    private bool IsSame(KeyedContent<TValue> one, KeyedContent<TValue> other) =>
        one.HasValue == other.HasValue && (!one.HasValue || values.Equals(one.Value, other.Value));

    private string Explain(
        TKey key, KeyedContent<TValue> found, KeyedOperation<TKey, TValue>[] changes, KeyedOperation<TKey, TValue>?[] allowed, long point)
    {
        StringBuilder text = new StringBuilder("Key ").Append(KeyedContent.Show(key)).Append(" has ").Append(found);
        if (Array.FindLast(changes, operation => IsSame(ContentOf(operation, key), found)) is { } origin)
        {
            text.Append(origin.Begin > point ? ", which was put later only" : $" ({origin.Describe(point)}), which was replaced");
        }
        else if (found.HasValue)
        {
            text.Append(", which nobody ever put there");
        }

        return text.Append("; expected ")
            .AppendJoin(" or ", allowed.Select(operation => $"{ContentOf(operation, key)} ({operation?.Describe(point) ?? "as at the start"})"))
            .Append('.').ToString();
    }

    private static string Join(List<string> all) => all.Count <= MostSaid
        ? string.Join(' ', all)
        : FormattableString.Invariant($"{string.Join(' ', all.Take(MostSaid))} And {all.Count - MostSaid} keys more.");
}

/// <summary>What was found of a key, and the operations that may have left it there.</summary>
internal sealed record KeyedSight<TKey, TValue>(
    TKey Key, KeyedContent<TValue> Found, KeyedOperation<TKey, TValue>?[] Candidates, KeyedOperation<TKey, TValue>[] Changes)
    where TKey : notnull;
