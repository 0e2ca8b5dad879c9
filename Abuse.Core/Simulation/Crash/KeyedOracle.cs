namespace Abuse.Core;

/// <summary>When a key-value program says that a change is durable.</summary>
public enum KeyedPromise
{
    /// <summary>When it acknowledges it.</summary>
    Durable,

    /// <summary>
    /// When it acknowledges a later sync (<see cref="KeyedOracle{TKey, TValue}.BeginSync"/>). Until then a power loss may take back the last
    /// changes, but none without all that began after it was acknowledged.
    /// </summary>
    Prefix,
}

/// <summary>
/// Knows what a key-value program was told to store and what it acknowledged, and judges what is left after a power loss: an acknowledged change
/// is there, one that is unknown is there or not, and nothing else is.
/// </summary>
/// <remarks>
/// <para>
/// Of the changes of a key any may be the last that no acknowledged one has followed: one that began after it was acknowledged or had failed.
/// Operations of several keys are there whole or not at all. Exact, as long as at most <see cref="KeyedJudge{TKey, TValue}.MostTries"/> ways
/// are enough to tell which of several operations with the same value is seen; beyond that nothing is reported that is not proved wrong.
/// </para>
/// <para>Thread-safe: told by any threads while the workload is recorded, asked by any after.</para>
/// </remarks>
/// <typeparam name="TKey">The keys.</typeparam>
/// <typeparam name="TValue">The values, or what stands for them: a version, a digest.</typeparam>
public sealed class KeyedOracle<TKey, TValue>
    where TKey : notnull
{
    private readonly Lock _lock = new();
    private readonly BlockRecorder _recorder;
    private readonly IEqualityComparer<TValue> _values;
    private readonly KeyedPromise _promise;
    private readonly List<KeyedOperation<TKey, TValue>> _operations = [];
    private readonly Dictionary<TKey, List<KeyedOperation<TKey, TValue>>> _keys = [];
    private KeyedJudge<TKey, TValue>? _judge;

    /// <summary>An oracle for what is recorded.</summary>
    /// <param name="recorder">Records the workload; its events are the oracle's clock.</param>
    /// <param name="promise">When the program says that a change is durable.</param>
    /// <param name="values">When two values are the same; null for their own equality, and for the content of arrays of bytes.</param>
    public KeyedOracle(BlockRecorder recorder, KeyedPromise promise = KeyedPromise.Durable, IEqualityComparer<TValue>? values = null)
    {
        ArgumentNullException.ThrowIfNull(recorder);
        _recorder = recorder;
        _promise = promise;
        _values = values ?? ByteContentComparer.For<TValue>();
    }

    /// <summary>Says what a key has at the start: what was there, and durable, before the first operation.</summary>
    public void Start(TKey key, TValue value)
    {
        ArgumentNullException.ThrowIfNull(key);
        KeyedOperation<TKey, TValue> first = KeyedOperation<TKey, TValue>.OfStart(this);
        Add(first, key, KeyedContent.Of(value));
    }

    /// <summary>Begins an operation, of which the changes follow.</summary>
    public KeyedOperation<TKey, TValue> Begin()
    {
        var operation = new KeyedOperation<TKey, TValue>(this, _recorder.Happened);
        lock (_lock)
        {
            _operations.Add(operation);
            return operation;
        }
    }

    /// <summary>Begins to put one value.</summary>
    public KeyedOperation<TKey, TValue> BeginPut(TKey key, TValue value)
    {
        ArgumentNullException.ThrowIfNull(key);
        return Begin().Put(key, value);
    }

    /// <summary>Begins to delete one key.</summary>
    public KeyedOperation<TKey, TValue> BeginDelete(TKey key)
    {
        ArgumentNullException.ThrowIfNull(key);
        return Begin().Delete(key);
    }

    /// <summary>Begins a sync: once it is acknowledged, all is durable that was acknowledged before it began.</summary>
    public KeyedOperation<TKey, TValue> BeginSync()
    {
        var operation = new KeyedOperation<TKey, TValue>(this, _recorder.Happened, isSync: true);
        lock (_lock)
        {
            _operations.Add(operation);
            _judge = null;
            return operation;
        }
    }

    /// <summary>Begins to put a value, does it, and notes whether it was acknowledged or failed by whether it threw.</summary>
    /// <param name="key">Which key.</param>
    /// <param name="value">Its value.</param>
    /// <param name="put">The program's own call, which returns when it is acknowledged.</param>
    public async Task PutAsync(TKey key, TValue value, Func<Task> put)
    {
        ArgumentNullException.ThrowIfNull(key);
        ArgumentNullException.ThrowIfNull(put);
        KeyedOperation<TKey, TValue> operation = BeginPut(key, value);
        try
        {
            await put().ConfigureAwait(false);
        }
        catch
        {
            operation.Fail();
            throw;
        }

        operation.Acknowledge();
    }

    /// <summary>Judges all that is left, keys that nobody ever put among it.</summary>
    /// <param name="point">The crash's <see cref="CrashState.Point"/>.</param>
    /// <param name="recovered">What the program found after its recovery. A key that is not in it is not there.</param>
    public CrashVerdict Judge(long point, IReadOnlyDictionary<TKey, TValue> recovered)
    {
        ArgumentNullException.ThrowIfNull(recovered);
        KeyedJudge<TKey, TValue> judge = GetJudge();
        foreach ((TKey key, TValue value) in recovered)
        {
            if (!judge.Knows(key))
            {
                return CrashVerdict.SilentWrong($"Key {KeyedContent.Show(key)} has {KeyedContent.Show(value)}, and nobody ever put that key.");
            }
        }

        return judge.Judge(point, key => recovered.TryGetValue(key, out TValue? value) ? KeyedContent.Of(value) : default);
    }

    /// <summary>Judges the keys that were ever named.</summary>
    /// <param name="point">The crash's <see cref="CrashState.Point"/>.</param>
    /// <param name="find">What the program found of a key after its recovery. What it throws is not caught.</param>
    public CrashVerdict Judge(long point, Func<TKey, KeyedContent<TValue>> find)
    {
        ArgumentNullException.ThrowIfNull(find);
        return GetJudge().Judge(point, find);
    }

    /// <summary>Judges the keys that were ever named.</summary>
    /// <param name="point">The crash's <see cref="CrashState.Point"/>.</param>
    /// <param name="find">What the program found of a key after its recovery. What it throws is not caught.</param>
    public async ValueTask<CrashVerdict> JudgeAsync(long point, Func<TKey, ValueTask<KeyedContent<TValue>>> find)
    {
        ArgumentNullException.ThrowIfNull(find);
        KeyedJudge<TKey, TValue> judge = GetJudge();
        var found = new Dictionary<TKey, KeyedContent<TValue>>();
        foreach (TKey key in judge.Keys)
        {
            found.Add(key, await find(key).ConfigureAwait(false));
        }

        return judge.Judge(point, key => found[key]);
    }

    internal void Add(KeyedOperation<TKey, TValue> operation, TKey key, KeyedContent<TValue> content)
    {
        lock (_lock)
        {
            operation.Changes[key] = content;
            if (!_keys.TryGetValue(key, out List<KeyedOperation<TKey, TValue>>? operations))
            {
                _keys.Add(key, operations = []);
            }

            if (operations.Count == 0 || operations[^1] != operation)
            {
                operations.Add(operation);
            }

            _judge = null;
        }
    }

    internal bool TryMark(string text, out long mark) => _recorder.TryMark(text, out mark);

    private KeyedJudge<TKey, TValue> GetJudge()
    {
        lock (_lock)
        {
            return _judge ??= new KeyedJudge<TKey, TValue>(
                _keys.ToDictionary(static pair => pair.Key, static pair => pair.Value.ToArray()), [.. _operations], _promise, _values);
        }
    }

    /// <inheritdoc/>
    public override string ToString()
    {
        lock (_lock)
        {
            return FormattableString.Invariant($"oracle of {_operations.Count} operations on {_keys.Count} keys, {_promise}");
        }
    }
}
