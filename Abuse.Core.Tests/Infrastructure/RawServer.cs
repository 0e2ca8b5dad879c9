using Abuse.Core.Abi;

namespace Abuse.Core.Tests;

/// <summary>
/// A server of 2009: GET_BIO and PUT_BIO, one bio after the other. It gets a write's bytes with the call that acknowledges it (D6), and stores
/// them before it fetches the next bio, so nobody sees the difference.
/// </summary>
internal sealed class RawServer : IDisposable
{
    private const ulong Base = 0x10000;

    private readonly AbuseControl _control;
    private readonly BlockTarget _store;
    private readonly CancellationTokenSource _stop = new();
    private readonly byte[] _memory = new byte[AbuseIoctl.MaxBioLength];
    private readonly UserMemoryMap _map = new();
    private readonly AbuseVector[] _vectors = new AbuseVector[AbuseIoctl.MaxVectors];

    internal RawServer(AbuseDevice device, BlockTarget store)
        : this(device.OpenControl(BlockFeatures.Flush | BlockFeatures.Fua), store)
    {
    }

    internal RawServer(AbuseControl control, BlockTarget store)
    {
        _control = control;
        _store = store;
        _map.Map(Base, _memory);
        Completion = Task.Run(LoopAsync);
    }

    internal Task Completion { get; }

    public void Dispose() => _stop.Cancel();

    private async Task LoopAsync()
    {
        try
        {
            while (await _control.WaitAsync(_stop.Token))
            {
                ServeOne();
            }
        }
        catch (OperationCanceledException)
        {
            // Stopped, as any server may be.
        }
    }

    private void ServeOne()
    {
        AbuseTransferHeader header = default;
        if (_control.GetBio(ref header, _vectors) != Errno.None)
        {
            return;
        }

        int length = 0;
        for (int i = 0; i < header.VectorCount; length += (int)_vectors[i++].Length)
        {
            _vectors[i].Address = Base + (ulong)length;
        }

        var head = new BioHead
        {
            Op = header.Command == AbuseCommand.Read ? BioOp.Read : BioOp.Write,
            Offset = (long)header.Sector * AbuseIoctl.SectorSize,
            Length = length,
        };
        bool ok = head.Op == BioOp.Write || _store.Execute(head, new BioSpans(_memory.AsSpan(0, length))) == BioResult.Ok;
        header.Result = ok ? AbuseAnswer.Okay : AbuseAnswer.MediaFailure;
        Errno error = _control.PutBio(header, _vectors, _map);
        if (error == Errno.None && header.Command == AbuseCommand.Write)
        {
            _store.Execute(head, new BioSpans(_memory.AsSpan(0, length)));
        }
    }
}
