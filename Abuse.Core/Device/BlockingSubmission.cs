namespace Abuse.Core;

/// <summary>A submission whose thread waits. Pooled; used by one thread from <see cref="Submit"/> to its return.</summary>
internal sealed class BlockingSubmission : Submission, IDisposable
{
    private readonly ManualResetEventSlim _done = new();

    /// <summary>Whom to wake, if the waiting thread is a loop's.</summary>
    private DeviceLoop? _loop;

    internal override bool CompletesInPlace => true;

    /// <summary>Queues a bio and waits for its outcome. It ends when the bio is answered, cancelled by a reset, or the device is disposed.</summary>
    internal static BioResult Submit(BioQueue queue, in Bio bio)
    {
        BlockingSubmission submission = Recycler<BlockingSubmission>.Rent();
        submission.Fill(bio, waitsForCredit: true);
        submission._loop = queue.Loop;
        BioResult result = queue.Enqueue(submission);
        if (result == BioResult.Pending)
        {
            submission.WaitFor(queue);
            result = submission.Result;
        }

        submission.Clear();
        Recycler<BlockingSubmission>.Return(submission);
        return result;
    }

    /// <summary>
    /// Waits. A thread that is interrupted meanwhile, or whose loop fails, has its memory back before it learns of it (B2), and the outcome is lost.
    /// </summary>
    private void WaitFor(BioQueue queue)
    {
        try
        {
            if (queue.Loop is { IsCurrent: true } loop)
            {
                // The thread that waits is the one that the answer comes from.
                loop.RunUntil(_done);
            }

            _done.Wait();
            _done.Reset();
        }
        catch
        {
            queue.Cancel(this);
            while (!TryWait())
            {
                // Once more: the bio is settled, and completes when nobody copies any more.
            }

            throw;
        }
    }

    private bool TryWait()
    {
        try
        {
            _done.Wait();
            return true;
        }
        catch (ThreadInterruptedException)
        {
            return false;
        }
    }

    internal override void OnCompleted(BioResult result)
    {
        // Once it is set, the submission may be another bio's.
        DeviceLoop? loop = _loop;
        _done.Set();
        loop?.Wake();
    }

    public void Dispose() => _done.Dispose();
}
