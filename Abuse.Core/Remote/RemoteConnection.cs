using System.Buffers;
using System.Diagnostics.CodeAnalysis;

namespace Abuse.Core;

/// <summary>Frames from a peer, one after the other: many of a receive, and of a large one the bytes to where they belong, without a second copy.</summary>
internal abstract class RemoteConnection : PeerConnection
{
    /// <summary>Frames up to here are received whole, into the buffer.</summary>
    private const int MaxBuffered = 16 << 10;

    private byte[]? _scratch;

    private protected RemoteConnection(PeerLink link, ConnectionLimits limits)
        : base(link, limits)
    {
    }

    /// <summary>A frame's head is there, and perhaps no more: throws what is wrong with it. May be asked again of the same.</summary>
    private protected abstract void Check(in RemoteFrame frame);

    /// <summary>Where what follows a frame's head is to go, exactly as much as it says. Throws where it is not its time.</summary>
    private protected abstract Memory<byte> Begin(in RemoteFrame frame);

    /// <summary>A frame is there, whole.</summary>
    private protected abstract void Finish(in RemoteFrame frame);

    /// <summary>Everything that was received is done.</summary>
    private protected virtual void OnReceived()
    {
    }

    private protected override async Task ProcessAsync()
    {
        try
        {
            while (End is null)
            {
                System.IO.Pipelines.ReadResult read = await Link.Input.ReadAsync().ConfigureAwait(false);
                if (read.IsCanceled)
                {
                    return;
                }

                NoteReceived();
                ReadOnlySequence<byte> rest = read.Buffer;
                Taking taking = TakeFrames(ref rest, out RemoteFrame large, out Memory<byte> destination);
                bool isEmpty = rest.IsEmpty;
                Link.Input.AdvanceTo(rest.Start, taking == Taking.NeedsMore ? rest.End : rest.Start);
                if (taking == Taking.IsCut)
                {
                    if (!await Link.ReceiveAsync(destination).ConfigureAwait(false))
                    {
                        ThrowCut();
                    }

                    Finish(large);
                }

                ReturnScratch();
                OnReceived();
                if (read.IsCompleted && taking == Taking.NeedsMore)
                {
                    if (!isEmpty && End is null)
                    {
                        ThrowCut();
                    }

                    return;
                }

                if (Outbox.IsFull)
                {
                    await Outbox.WaitForRoomAsync().ConfigureAwait(false);
                }
            }
        }
        finally
        {
            ReturnScratch();
        }
    }

    [DoesNotReturn]
    private static void ThrowCut() => throw new IOException("The connection ended in the midst of a frame.");

    /// <summary>Takes the frames that are whole, as long as what they bring about has room.</summary>
    private Taking TakeFrames(ref ReadOnlySequence<byte> rest, out RemoteFrame large, out Memory<byte> destination)
    {
        large = default;
        destination = default;
        while (RemoteFrame.TryRead(rest, out RemoteFrame frame))
        {
            if (Outbox.IsFull)
            {
                return Taking.IsHeldBack;
            }

            Check(frame);
            bool isWhole = rest.Length - RemoteFrame.Size >= frame.Payload;
            if (!isWhole && frame.Payload <= MaxBuffered)
            {
                break;
            }

            destination = Begin(frame);
            rest = rest.Slice(RemoteFrame.Size);
            if (!isWhole)
            {
                large = frame;
                return Taking.IsCut;
            }

            if (frame.Payload != 0)
            {
                rest.Slice(0, frame.Payload).CopyTo(destination.Span);
                rest = rest.Slice(frame.Payload);
            }

            Finish(frame);
        }

        return Taking.NeedsMore;
    }

    /// <summary>Memory for what is looked at once the frame is there; the next frame's.</summary>
    private protected Memory<byte> Scratch(int length)
    {
        if (_scratch is null || _scratch.Length < length)
        {
            ReturnScratch();
            _scratch = ArrayPool<byte>.Shared.Rent(length);
        }

        return _scratch.AsMemory(0, length);
    }

    private void ReturnScratch()
    {
        if (_scratch is { } scratch)
        {
            _scratch = null;
            ArrayPool<byte>.Shared.Return(scratch);
        }
    }

    /// <summary>Why no more frames were taken.</summary>
    private enum Taking : byte
    {
        /// <summary>What is left is no frame yet.</summary>
        NeedsMore,

        /// <summary>The last is a large one whose head was taken, and whose bytes are not all there.</summary>
        IsCut,

        /// <summary>The peer has so much to read that nothing more is taken from it.</summary>
        IsHeldBack,
    }

    /// <summary>Says what is wrong with a frame.</summary>
    [DoesNotReturn]
    private protected static void Refuse(in RemoteFrame frame, string why) =>
        throw new PeerFaultException($"{why}: {frame.Kind}, code {frame.Code}, flags {frame.Flags}, {frame.Payload} bytes, id {frame.Id}, generation {frame.Generation}, offset {frame.Offset}, length {frame.Length}.");
}
