namespace Abuse.Core;

/// <summary>A submission whose thread waits. Pooled; used by one thread from <see cref="Submit"/> to its return.</summary>
internal sealed class BlockingSubmission : Submission, IDisposable
{
    private readonly ManualResetEventSlim _done = new();

    internal override bool CompletesInPlace => true;

    /// <summary>Queues a bio and waits for its outcome. It ends when the bio is answered, cancelled by a reset, or the device is disposed.</summary>
    internal static BioResult Submit(BioQueue queue, in Bio bio)
    {
        BlockingSubmission submission = Recycler<BlockingSubmission>.Rent();
        submission.Fill(bio, waitsForCredit: true);
        BioResult result = queue.Enqueue(submission);
        if (result == BioResult.Pending)
        {
            submission._done.Wait();
            submission._done.Reset();
            result = submission.Result;
        }

        submission.Clear();
        Recycler<BlockingSubmission>.Return(submission);
        return result;
    }

    internal override void OnCompleted(BioResult result) => _done.Set();

    public void Dispose() => _done.Dispose();
}
