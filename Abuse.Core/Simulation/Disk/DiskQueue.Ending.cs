namespace Abuse.Core;

/// <content>Bios that end before their time, and what a power loss makes of those that were not done.</content>
internal sealed partial class DiskQueue
{
    private readonly Queue<DiskOperation> _aborted = new();

    /// <summary>
    /// Ends everything that is under way, and the writes that would come late: the power went, or the disk. What was not done is not done any more.
    /// Under the lock under which that happened, so that nothing is done after it; <see cref="GiveAnswers"/> follows outside.
    /// </summary>
    internal void EndAll(BioResult result)
    {
        AbortOthers(null, result);
        Array.Clear(_free);
        _episodes.Clear();
        DropLate();
    }

    /// <summary>Gives the answers that are due. Outside the lock (B8).</summary>
    internal void GiveAnswers() => OnTimer();

    /// <summary>Has a hung bio end with its submitter's patience: the device was reset, or the bio cancelled.</summary>
    private void EndWithPatience(DiskOperation operation, long number)
    {
        // By its number: the operation may be another bio's by the time the token is cancelled.
        CancellationTokenRegistration registration = operation.OvertakenToken.UnsafeRegister(
            static state =>
            {
                (DiskOperation hung, long number) = ((DiskOperation, long))state!;
                hung.Queue.GiveUp(hung, number);
            },
            (operation, number));
        lock (_lock)
        {
            if (operation.Number == number && !operation.IsOver)
            {
                operation.Overtaken = registration;
                return;
            }
        }

        registration.Dispose();
    }

    private void GiveUp(DiskOperation operation, long number)
    {
        DiskOperation? over;
        lock (_lock)
        {
            over = operation.IsOver || operation.Number != number ? null : Take(operation, BioResult.Canceled);
        }

        over?.Complete();
    }

    /// <summary>What a power loss may leave of bios that were not done; null if there are none.</summary>
    internal UndoneWrites? FindUndone(int unit, PageStore content)
    {
        UndoneWrites? undone = null;
        foreach (DiskOperation operation in _underWay)
        {
            if (!operation.IsDone && operation.Bio is { Op: BioOp.Write or BioOp.Discard or BioOp.WriteZeroes, Length: not 0 }
                && operation.Decision.Effect is null or FaultEffect.Torn or FaultEffect.Duplicate or FaultEffect.FlushIgnored or FaultEffect.Media)
            {
                (undone ??= new UndoneWrites(unit, content)).Add(operation.Bio, operation.Data, operation.Number);
            }
        }

        foreach ((Moment moment, _) in _moments.UnorderedItems)
        {
            if (moment.Late is { } late)
            {
                (undone ??= new UndoneWrites(unit, content)).Add(late.Bio, late.Data, late.Number);
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
            operation.Renew();
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
