using System.Globalization;

namespace Abuse.Core;

/// <summary>Slots of metadata on a directory's disk. Under the gate.</summary>
/// <remarks>How many were ever used is in the superblock, in steps, so that to open a directory costs what is in it.</remarks>
internal sealed class SlotTable(DirectoryDisk disk, DirectoryLayout layout)
{
    private const int Step = 64;

    private readonly byte[] _sector = new byte[layout.Sector];
    private readonly Stack<int> _free = [];

    /// <summary>Slots with something that waits for them to be durable.</summary>
    private readonly SortedDictionary<int, MetadataSlot> _awaited = [];

    private int _known;

    internal async ValueTask FormatAsync()
    {
        // Whatever was on the disk is gone before anything is in its place.
        await disk.WriteAsync(0, _sector, fua: true, isAsync: true).ConfigureAwait(false);
        await GrowAsync(isAsync: true).ConfigureAwait(false);
    }

    /// <summary>Reads all slots that hold something.</summary>
    /// <exception cref="InvalidDataException">One is damaged.</exception>
    internal async ValueTask<List<MetadataSlot>> LoadAsync(DirectorySuperblock superblock)
    {
        _known = superblock.Count;
        byte[] sectors = new byte[_known * layout.Stride];
        await disk.ReadAsync(layout.SlotOffset(0), sectors, isAsync: true).ConfigureAwait(false);
        var slots = new List<MetadataSlot>();
        for (int number = 0; number < _known; number++)
        {
            var slot = new MetadataSlot(number);
            long offset = layout.SlotOffset(number);
            if (!slot.TryDecode(sectors.AsSpan(number * layout.Stride), offset))
            {
                throw new InvalidDataException(string.Create(CultureInfo.InvariantCulture,
                    $"Slot {number} of the directory's metadata, at {offset} of {disk.Client.Device}, is damaged."));
            }

            if (slot.Kind != MetadataSlotKind.Free)
            {
                slots.Add(slot);
            }
        }

        return slots;
    }

    /// <summary>Says which slots are free: all that are known but these.</summary>
    internal void SetUsed(IEnumerable<int> used)
    {
        HashSet<int> taken = [.. used];
        for (int number = _known; number-- > 0;)
        {
            if (!taken.Contains(number))
            {
                _free.Push(number);
            }
        }
    }

    /// <exception cref="IOException">There is none left.</exception>
    internal async ValueTask<MetadataSlot> AllocateAsync(bool isAsync)
    {
        if (_free.Count == 0 && _known < layout.Records)
        {
            await GrowAsync(isAsync).ConfigureAwait(false);
        }

        if (_free.Count == 0)
        {
            await SyncAwaitedAsync(isAsync).ConfigureAwait(false);
        }

        return _free.TryPop(out int number) ? new MetadataSlot(number) : throw FileStore.NoRoom("there are too many files.");
    }

    internal void Release(MetadataSlot slot)
    {
        slot.IsDirty = false;
        _awaited.Remove(slot.Number);
        _free.Push(slot.Number);
        RunAwaited(slot);
    }

    /// <summary>Has something done once a slot's newest content is durable.</summary>
    internal void Await(MetadataSlot slot, Action action)
    {
        slot.WhenDurable.Add(action);
        _awaited[slot.Number] = slot;
    }

    /// <summary>Writes a slot so that a power loss may take or leave it. If that fails it stays dirty, and a sync tells.</summary>
    internal async ValueTask WriteAsync(MetadataSlot slot, bool isAsync)
    {
        slot.IsDirty = true;
        await TryPutAsync(slot, fua: false, isAsync).ConfigureAwait(false);
    }

    /// <summary>Makes a slot durable.</summary>
    /// <exception cref="BlockIOException">The disk failed it.</exception>
    internal async ValueTask SyncAsync(MetadataSlot slot, bool isAsync)
    {
        if (await TryPutAsync(slot, fua: true, isAsync).ConfigureAwait(false) is var result and not BioResult.Ok)
        {
            throw new BlockIOException(result, BioOp.Write, layout.SlotOffset(slot.Number), layout.Sector, disk.Client.Device);
        }

        slot.IsDirty = false;
        _awaited.Remove(slot.Number);
        RunAwaited(slot);
    }

    /// <summary>Makes durable what pages and slots wait for to be free.</summary>
    internal async ValueTask SyncAwaitedAsync(bool isAsync)
    {
        foreach (MetadataSlot slot in _awaited.Values.ToArray())
        {
            // One may have been released by what waited for another.
            if (_awaited.ContainsKey(slot.Number))
            {
                await SyncAsync(slot, isAsync).ConfigureAwait(false);
            }
        }
    }

    private static void RunAwaited(MetadataSlot slot)
    {
        Action[] actions = [.. slot.WhenDurable];
        slot.WhenDurable.Clear();
        foreach (Action action in actions)
        {
            action();
        }
    }

    private ValueTask<BioResult> TryPutAsync(MetadataSlot slot, bool fua, bool isAsync)
    {
        long offset = layout.SlotOffset(slot.Number);
        slot.Encode(_sector, offset);
        return disk.TryWriteAsync(offset, _sector, fua, isAsync);
    }

    /// <summary>Has the superblock know more slots, which are zeroes first: what an earlier directory left there is not this one's.</summary>
    private async ValueTask GrowAsync(bool isAsync)
    {
        int known = Math.Min(layout.Records, _known + Step);
        await disk.WriteAsync(layout.SlotOffset(_known), new byte[(known - _known) * layout.Stride], fua: true, isAsync).ConfigureAwait(false);
        byte[] sector = new byte[layout.Sector];
        new DirectorySuperblock(layout, Area: 0, Generation: 1, known, CheckpointLength: 0, CheckpointChecksum: 0).Encode(sector);
        await disk.WriteAsync(0, sector, fua: true, isAsync).ConfigureAwait(false);
        for (int number = known; number-- > _known;)
        {
            _free.Push(number);
        }

        _known = known;
    }
}
