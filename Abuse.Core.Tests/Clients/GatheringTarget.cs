namespace Abuse.Core.Tests;

/// <summary>
/// A target that answers nothing until so many reads or writes are in flight together, and then all of them in the opposite order, from a thread
/// that is none of theirs.
/// </summary>
internal sealed class GatheringTarget(BlockTarget inner, int count) : BlockTarget
{
    private readonly Lock _lock = new();
    private readonly List<(BioHead Bio, Memory<byte> Data, TaskCompletionSource<BioResult> Answer)> _held = [];

    public override BlockGeometry Geometry => inner.Geometry;

    /// <summary>What does the work.</summary>
    internal BlockTarget Inner => inner;

    /// <summary>How often as many were in flight together.</summary>
    internal int Rounds { get; private set; }

    public override ValueTask<BioResult> ExecuteAsync(BioHead bio, Memory<byte> data, CancellationToken overtaken)
    {
        if (bio.Op > BioOp.Write)
        {
            return inner.ExecuteAsync(bio, data, overtaken);
        }

        var answer = new TaskCompletionSource<BioResult>();
        lock (_lock)
        {
            _held.Add((bio, data, answer));
            if (_held.Count == count)
            {
                var all = _held.ToArray();
                _held.Clear();
                Rounds++;
                new Thread(() => Answer(all)) { IsBackground = true }.Start();
            }
        }

        return new ValueTask<BioResult>(answer.Task);
    }

    public override BlockExtent GetExtent(long offset) => inner.GetExtent(offset);

    public override async ValueTask DisposeAsync()
    {
        await inner.DisposeAsync();
        await base.DisposeAsync();
    }

    private void Answer((BioHead Bio, Memory<byte> Data, TaskCompletionSource<BioResult> Answer)[] all)
    {
        foreach (var (bio, data, answer) in all.Reverse())
        {
            answer.SetResult(inner.Execute(bio, new BioSpans(data.Span)));
        }
    }
}
