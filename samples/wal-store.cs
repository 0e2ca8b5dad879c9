#:project ../Abuse.Core/Abuse.Core.csproj

// A small key-value store with a write-ahead log on a block device, and its power-loss test: eight writers at a time are recorded, then
// every state that a power loss may leave is recovered and judged. The store as it is survives; three bugs that were planted in it are
// found. docs/testing-your-storage-code.md goes through it step by step.
//
//     dotnet run samples/wal-store.cs                  (exit code 1 if a bug was not found, or the store failed)
//     dotnet run samples/wal-store.cs -- FOLDER        (and writes a report with pictures for each part)
using System.Buffers.Binary;
using System.Numerics;
using System.Text;
using Abuse.Core;

/// <summary>The power-loss test: what a fixture of any test framework would call.</summary>
internal static class WalStoreTest
{
    internal const int DiskSize = 1 << 20;

    /// <summary>The fifth flush fails once: the second of the second group, after its commit record. The first is that of the opening.</summary>
    internal static readonly FaultPlan FailingFlush = FaultPlan.None.Add(FaultRule.On(BioOp.Flush).Nth(5).Fail());

    private static async Task<int> Main(string[] arguments)
    {
        (string Title, WalBug Bug, FaultPlan Faults)[] parts =
        [
            ("the store as it is", WalBug.None, FaultPlan.None),
            ("the store as it is, a flush fails", WalBug.None, FailingFlush),
            ("no barrier before the commit record", WalBug.NoBarrier, FaultPlan.None),
            ("a failed flush is ignored", WalBug.IgnoredFlush, FailingFlush),
            ("a torn commit record is accepted", WalBug.TornRecord, FaultPlan.None),
        ];
        bool isRight = true;
        foreach ((string title, WalBug bug, FaultPlan faults) in parts)
        {
            (BlockTrace trace, CrashReport report) = await RunAsync(bug, faults);
            Console.WriteLine($"== {title}\n{report}\n");
            isRight &= (report.Failure is not null) == (bug != WalBug.None);
            if (arguments is [string folder])
            {
                await SimulationReport.WriteAsync(Path.Combine(folder, $"{title}.html"), trace, report, new SimulationReportOptions { Title = title });
            }
        }

        Console.WriteLine(isRight ? "ok" : "FAILED: a verdict above is not what was expected");
        return isRight ? 0 : 1;
    }

    /// <summary>Records the workload once, then tries what a power loss may leave of it.</summary>
    internal static async Task<(BlockTrace Trace, CrashReport Report)> RunAsync(WalBug bug, FaultPlan faults, int writers = 8, int rounds = 3)
    {
        // A clock gives the disk real times, so that writers overlap and flushes have a group to commit.
        var options = new SimulatedDiskOptions { Clock = TimeProvider.System, Faults = faults };
        await using var disk = new SimulatedDisk(DiskSize, options: options);
        BlockRecorder recorder = await BlockRecorder.StartAsync(disk, new BlockRecorderOptions { CallSites = true });
        await using AbuseDevice device = AbuseDevice.Create(recorder);
        var oracle = new KeyedOracle<string, string>(recorder);

        WalStore store = await WalStore.OpenAsync(new BlockClient(device), bug);
        await Task.WhenAll(Enumerable.Range(0, writers).Select(writer => Task.Run(() => WriteAsync(store, oracle, $"key {writer}", rounds))));
        BlockTrace trace = recorder.Stop();

        CrashReport report = await CrashExplorer.ExploreAsync(
            trace, state => CheckAsync(state, oracle, bug), new CrashExplorerOptions { MaxStates = 9_999 });
        return (trace, report);
    }

    /// <summary>A writer: it goes on until the store says that it can't. The oracle notes what was acknowledged and what failed.</summary>
    private static async Task WriteAsync(WalStore store, KeyedOracle<string, string> oracle, string key, int rounds)
    {
        try
        {
            for (int round = 1; round <= rounds; round++)
            {
                string value = $"{key}, round {round}";
                await oracle.PutAsync(key, value, () => store.PutAsync(key, Encoding.UTF8.GetBytes(value)));
            }
        }
        catch (IOException)
        {
            // Not "it did not happen": nobody knows. To the oracle it is unknown, and either is right.
        }
    }

    /// <summary>Recovers from a crash state with the store's own code, and compares what is there with what was promised.</summary>
    internal static async ValueTask<CrashVerdict> CheckAsync(CrashState state, KeyedOracle<string, string> oracle, WalBug bug)
    {
        await using AbuseDevice device = AbuseDevice.Create(state.Image);
        WalStore store = await WalStore.OpenAsync(new BlockClient(device), bug);
        var found = new Dictionary<string, string>();
        foreach (string key in store.Keys)
        {
            // Bytes that were never written are zeroes; a report shows them as dots.
            found[key] = Encoding.UTF8.GetString((await store.GetAsync(key))!).Replace('\0', '.');
        }

        return oracle.Judge(state.Point, found);
    }
}

/// <summary>What is wrong with a store.</summary>
internal enum WalBug
{
    /// <summary>Nothing.</summary>
    None,

    /// <summary>The commit record is written without waiting for the values that it names.</summary>
    NoBarrier,

    /// <summary>A flush that fails counts as done.</summary>
    IgnoredFlush,

    /// <summary>Recovery takes a commit record by its first sector, and does not check the rest.</summary>
    TornRecord,
}

/// <summary>A key-value store: values where there is room, and a log of commit records that name them. Thread-safe.</summary>
/// <remarks>
/// A put writes its value, any number at a time. Then one writer commits for all that wait: a flush, so that the values are durable before
/// anything names them; one commit record; a flush, so that the record is durable before anybody is told. After a failed flush nobody knows
/// what is durable, so the store takes no more puts until it is opened anew.
/// </remarks>
internal sealed class WalStore
{
    private const uint Magic = 0x314C_4157;

    /// <summary>Bytes of an entry of a record, and of its header.</summary>
    private const int EntryLength = 256;
    private const int MostKeyBytes = EntryLength - 16;

    private readonly BlockClient _disk;
    private readonly WalBug _bug;
    private readonly SemaphoreSlim _commit = new(1);
    private readonly Lock _lock = new();
    private readonly Dictionary<string, Entry> _index = [];
    private List<Entry> _waiting = [];
    private readonly long _logLength;
    private long _logEnd;
    private long _valuesEnd;
    private ulong _sequence;
    private Exception? _failure;

    private WalStore(BlockClient disk, WalBug bug)
    {
        (_disk, _bug) = (disk, bug);

        // The log is the first half of the disk, the values the second.
        _valuesEnd = _logLength = disk.Size / disk.BlockSize / 2 * disk.BlockSize;
    }

    internal IReadOnlyList<string> Keys
    {
        get
        {
            lock (_lock)
            {
                return [.. _index.Keys];
            }
        }
    }

    /// <summary>Recovers: replays the log up to the first record that is not whole.</summary>
    internal static async Task<WalStore> OpenAsync(BlockClient disk, WalBug bug = WalBug.None)
    {
        var store = new WalStore(disk, bug);
        while (await store.ReadRecordAsync() is { } record)
        {
            store.Apply(record);
        }

        // What was read may be in the disk's cache alone. Somebody may rely on it from now on.
        await disk.FlushAsync();
        return store;
    }

    /// <summary>Stores a value. It is durable when the task has completed; if that fails, it may be there or not.</summary>
    internal async Task PutAsync(string key, ReadOnlyMemory<byte> value)
    {
        ArgumentOutOfRangeException.ThrowIfZero(key.Length, nameof(key));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(Encoding.UTF8.GetByteCount(key), MostKeyBytes, nameof(key));
        byte[] padded = new byte[RoundUp(value.Length)];
        value.CopyTo(padded);
        var entry = new Entry(key, Interlocked.Add(ref _valuesEnd, padded.Length) - padded.Length, value.Length);
        await _disk.WriteAsync(entry.Offset, padded);
        lock (_lock)
        {
            _waiting.Add(entry);
        }

        // Who comes first commits for all who wait. Who comes later finds that it was done.
        await _commit.WaitAsync();
        try
        {
            if (!entry.IsCommitted)
            {
                await CommitAsync();
            }
        }
        finally
        {
            _commit.Release();
        }
    }

    /// <summary>The value of a key; null if there is none.</summary>
    internal async Task<byte[]?> GetAsync(string key)
    {
        Entry? entry;
        lock (_lock)
        {
            if (!_index.TryGetValue(key, out entry))
            {
                return null;
            }
        }

        byte[] padded = new byte[RoundUp(entry.Length)];
        await _disk.ReadAsync(entry.Offset, padded);
        return padded[..entry.Length];
    }

    private async Task CommitAsync()
    {
        if (_failure is not null)
        {
            throw new IOException("The store has failed before, and must be opened anew.", _failure);
        }

        List<Entry> group;
        lock (_lock)
        {
            (group, _waiting) = (_waiting, []);
        }

        try
        {
            byte[] record = Format(group);
            if (_bug != WalBug.NoBarrier)
            {
                await FlushAsync();
            }

            await _disk.WriteAsync(_logEnd, record);
            await FlushAsync();
            Apply(group);
        }
        catch (Exception e)
        {
            _failure = e;
            throw;
        }
    }

    private async Task FlushAsync()
    {
        try
        {
            await _disk.FlushAsync();
        }
        catch (BlockIOException) when (_bug == WalBug.IgnoredFlush)
        {
        }
    }

    private void Apply(List<Entry> group)
    {
        lock (_lock)
        {
            foreach (Entry entry in group)
            {
                entry.IsCommitted = true;
                _index[entry.Key] = entry;
                _valuesEnd = Math.Max(_valuesEnd, entry.Offset + RoundUp(entry.Length));
            }
        }

        _sequence++;
        _logEnd += RoundUp((group.Count + 1) * EntryLength);
    }

    /// <summary>A header (magic, count, sequence, checksum), then the entries, then zeroes to the end of the block.</summary>
    private byte[] Format(List<Entry> group)
    {
        int length = (group.Count + 1) * EntryLength;
        byte[] record = new byte[RoundUp(length)];
        if (_logEnd + record.Length > _logLength)
        {
            throw new IOException("The log is full.");
        }

        BinaryPrimitives.WriteUInt32LittleEndian(record, Magic);
        BinaryPrimitives.WriteInt32LittleEndian(record.AsSpan(4), group.Count);
        BinaryPrimitives.WriteUInt64LittleEndian(record.AsSpan(8), _sequence);
        for (int i = 0; i < group.Count; i++)
        {
            group[i].Format(record.AsSpan((i + 1) * EntryLength, EntryLength));
        }

        BinaryPrimitives.WriteUInt32LittleEndian(record.AsSpan(16), Checksum(record.AsSpan(0, length)));
        return record;
    }

    /// <summary>The record at the log's end; null if there is none that is whole and the next in order.</summary>
    private async Task<List<Entry>?> ReadRecordAsync()
    {
        byte[] record = new byte[_disk.BlockSize];
        if (_logEnd + record.Length > _logLength)
        {
            return null;
        }

        await _disk.ReadAsync(_logEnd, record);
        int count = BinaryPrimitives.ReadInt32LittleEndian(record.AsSpan(4));
        if (BinaryPrimitives.ReadUInt32LittleEndian(record) != Magic || BinaryPrimitives.ReadUInt64LittleEndian(record.AsSpan(8)) != _sequence
            || count < 0 || count > ((_logLength - _logEnd) / EntryLength) - 1)
        {
            return null;
        }

        int length = (count + 1) * EntryLength;
        record = new byte[RoundUp(length)];
        await _disk.ReadAsync(_logEnd, record);
        if (_bug != WalBug.TornRecord && BinaryPrimitives.ReadUInt32LittleEndian(record.AsSpan(16)) != Checksum(record.AsSpan(0, length)))
        {
            return null;
        }

        return [.. Enumerable.Range(0, count).Select(i => Entry.Parse(record.AsSpan((i + 1) * EntryLength, EntryLength)))];
    }

    /// <summary>CRC-32C of a record, the checksum itself left out. Records are whole numbers of 8 bytes.</summary>
    private static uint Checksum(ReadOnlySpan<byte> record)
    {
        uint crc = uint.MaxValue;
        for (int i = 0; i < record.Length; i += sizeof(ulong))
        {
            crc = i == 16 ? crc : BitOperations.Crc32C(crc, BinaryPrimitives.ReadUInt64LittleEndian(record[i..]));
        }

        return crc;
    }

    /// <summary>To whole blocks, and at least one.</summary>
    private int RoundUp(int length) => Math.Max(1, (length + _disk.BlockSize - 1) / _disk.BlockSize) * _disk.BlockSize;

    /// <summary>Where the value of a key is.</summary>
    private sealed record Entry(string Key, long Offset, int Length)
    {
        internal bool IsCommitted { get; set; }

        internal void Format(Span<byte> bytes)
        {
            BinaryPrimitives.WriteInt64LittleEndian(bytes, Offset);
            BinaryPrimitives.WriteInt32LittleEndian(bytes[8..], Length);
            BinaryPrimitives.WriteInt32LittleEndian(bytes[12..], Encoding.UTF8.GetBytes(Key, bytes[16..]));
        }

        internal static Entry Parse(ReadOnlySpan<byte> bytes) => new(
            Encoding.UTF8.GetString(bytes.Slice(16, BinaryPrimitives.ReadInt32LittleEndian(bytes[12..]))),
            BinaryPrimitives.ReadInt64LittleEndian(bytes),
            BinaryPrimitives.ReadInt32LittleEndian(bytes[8..]));
    }
}
