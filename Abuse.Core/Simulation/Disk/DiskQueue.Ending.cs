namespace Abuse.Core;

/// <content>Bios that end before their time, and what a power loss makes of those that were not done.</content>
internal sealed partial class DiskQueue
{
    private readonly Queue<DiskOperation> _aborted = new();

    /// <summary>Ends everything that is under way: the power went, or the disk. What was not done is not done any more.</summary>
    /// <param name="result">How it ends.</param>
    /// <param name="dropsLate">Whether late writes don't come any more either.</param>
    internal void Abort(BioResult result, bool dropsLate)
    {
        lock (_lock)
        {
            AbortOthers(null, result);
            Array.Clear(_free);
            _limpUntil = 0;
            if (dropsLate)
            {
                DropLate();
            }
        }

        OnTimer();
    }

    /// <summary>Ends a bio whose submitter has given up: the device was reset, or the bio cancelled.</summary>
    internal void GiveUp(DiskOperation operation)
    {
        DiskOperation? over;
        lock (_lock)
        {
            over = operation.IsOver ? null : Take(operation, BioResult.Canceled);
        }

        over?.Complete();
    }

    /// <summary>What a power loss may leave of bios that were not done; null if there are none.</summary>
    internal UndoneWrites? FindUndone(int unit)
    {
        UndoneWrites? undone = null;
        foreach (DiskOperation operation in _underWay)
        {
            if (!operation.IsDone && operation.Bio is { Op: BioOp.Write or BioOp.Discard or BioOp.WriteZeroes, Length: not 0 }
                && operation.Decision.Effect is null or FaultEffect.Torn or FaultEffect.Duplicate or FaultEffect.FlushIgnored or FaultEffect.Media)
            {
                (undone ??= new UndoneWrites(unit)).Add(operation.Bio, operation.Data, operation.Number);
            }
        }

        foreach ((Moment moment, _) in _moments.UnorderedItems)
        {
            if (moment.Late is { } late)
            {
                (undone ??= new UndoneWrites(unit)).Add(late.Bio, late.Data, late.Number);
            }
        }

        return undone;
    }

    /// <summary>Takes an operation back after its awaiter had the answer.</summary>
    internal void TakeBack(DiskOperation operation)
    {
        lock (_lock)
        {
            operation.IsTaken = true;
            PoolIfFree(operation);
        }
    }

    private DiskOperation Rent()
    {
        lock (_lock)
        {
            DiskOperation operation = _pool.TryPop(out DiskOperation? used) ? used : new DiskOperation { Queue = this };
            operation.IsDone = operation.IsOver = operation.IsTaken = false;
            operation.Write = operation.LastWrite = 0;
            operation.Result = BioResult.Pending;
            operation.Overtaken = default;
            operation.Unanswered.Clear();
            return operation;
        }
    }

    private void PoolIfFree(DiskOperation operation)
    {
        if (operation is { IsTaken: true, Times: 0 })
        {
            operation.IsTaken = false;
            _pool.Push(operation);
        }
    }

    /// <summary>Takes a bio out, to be answered.</summary>
    private DiskOperation Take(DiskOperation operation, BioResult result)
    {
        operation.IsOver = true;
        operation.Result = result;
        if (operation.Place.List is not null)
        {
            _underWay.Remove(operation.Place);
        }

        return operation;
    }

    /// <summary>Ends all but one. They are answered in the order of their submission, after the lock.</summary>
    private void AbortOthers(DiskOperation? except, BioResult result)
    {
        for (LinkedListNode<DiskOperation>? node = _underWay.First; node is not null;)
        {
            LinkedListNode<DiskOperation>? next = node.Next;
            if (node.Value != except)
            {
                _aborted.Enqueue(Take(node.Value, result));
            }

            node = next;
        }
    }

    private void DropLate()
    {
        var kept = new List<(Moment, (long, long))>();
        foreach ((Moment moment, (long, long) due) in _moments.UnorderedItems)
        {
            if (moment.Late is null)
            {
                kept.Add((moment, due));
            }
        }

        _moments.Clear();
        _moments.EnqueueRange(kept);
    }
}
