namespace Abuse.Core;

/// <summary>A change of keys that a program has begun, as a <see cref="KeyedOracle{TKey, TValue}"/> sees it: all of it is done, or nothing.</summary>
/// <remarks>
/// Until it is acknowledged or has failed, and if it never does, it is unknown whether it happened. Thread-safe, but the changes of one
/// operation are told by one thread.
/// </remarks>
/// <typeparam name="TKey">The keys.</typeparam>
/// <typeparam name="TValue">The values.</typeparam>
public sealed class KeyedOperation<TKey, TValue>
    where TKey : notnull
{
    internal const long Never = long.MaxValue;

    private readonly KeyedOracle<TKey, TValue> _oracle;
    private long _end = Never;
    private bool _isAcknowledged;

    internal KeyedOperation(KeyedOracle<TKey, TValue> oracle, long begin, bool isSync = false)
    {
        _oracle = oracle;
        Begin = begin;
        IsSync = isSync;
    }

    /// <summary>What was there before everything else.</summary>
    internal static KeyedOperation<TKey, TValue> OfStart(KeyedOracle<TKey, TValue> oracle) => new(oracle, -1) { _end = 0, _isAcknowledged = true };

    /// <summary>How many events had happened when it began.</summary>
    internal long Begin { get; }

    /// <summary>Whether it changes nothing, and makes what was acknowledged before it durable.</summary>
    internal bool IsSync { get; }

    /// <summary>Its changes, under the oracle's lock.</summary>
    internal Dictionary<TKey, KeyedContent<TValue>> Changes { get; } = [];

    /// <summary>Says that it puts a value, before the program begins to.</summary>
    public KeyedOperation<TKey, TValue> Put(TKey key, TValue value)
    {
        ArgumentNullException.ThrowIfNull(key);
        _oracle.Add(this, key, KeyedContent.Of(value));
        return this;
    }

    /// <summary>Says that it deletes a key, before the program begins to.</summary>
    public KeyedOperation<TKey, TValue> Delete(TKey key)
    {
        ArgumentNullException.ThrowIfNull(key);
        _oracle.Add(this, key, default);
        return this;
    }

    /// <summary>
    /// Says that the program was told that it is done: after the program's own call has returned. It must then survive. Ignored once the
    /// recording has ended.
    /// </summary>
    /// <exception cref="InvalidOperationException">It has ended before.</exception>
    public void Acknowledge() => End(isAcknowledged: true);

    /// <summary>
    /// Says that the program was told that it failed. It may have happened until now or not, and does not happen later.
    /// </summary>
    /// <exception cref="InvalidOperationException">It has ended before.</exception>
    public void Fail() => End(isAcknowledged: false);

    /// <summary>When it had ended, as seen after so many events.</summary>
    internal long EndAt(long point) => _end <= point ? _end : Never;

    internal bool IsAcknowledgedAt(long point) => _isAcknowledged && _end <= point;

    private void End(bool isAcknowledged)
    {
        if (_end != Never)
        {
            throw new InvalidOperationException($"{this} has ended before: an operation is acknowledged or fails once.");
        }

        if (_oracle.TryMark(isAcknowledged ? "acknowledged" : "failed", out long end))
        {
            _isAcknowledged = isAcknowledged;
            Volatile.Write(ref _end, end);
        }
    }

    /// <summary>Its fate as seen after so many events.</summary>
    internal string Describe(long point) => EndAt(point) switch
    {
        Never => FormattableString.Invariant($"in flight since event {Begin}"),
        long end when _isAcknowledged => Begin < 0 ? "there from the start" : FormattableString.Invariant($"acknowledged at event {end}"),
        long end => FormattableString.Invariant($"unknown: it failed at event {end}"),
    };

    /// <inheritdoc/>
    public override string ToString() => $"{(IsSync ? "a sync" : $"a change of {string.Join(", ", Changes.Keys.Take(3).Select(KeyedContent.Show))}")}, {Describe(Never)}";
}
