using Abuse.Core.Abi;

namespace Abuse.Core;

/// <summary>A call that waits for its reply.</summary>
internal sealed class RemoteCall(in RemoteFrame call) : TaskCompletionSource<RemoteReply>(TaskCreationOptions.RunContinuationsAsynchronously)
{
    private const int LengthsSize = AbuseIoctl.MaxVectors * sizeof(uint);

    /// <summary>Of a write's bytes, how many were asked for.</summary>
    private readonly int _length = call.Kind == RemoteFrameKind.CopyOut ? (int)call.Length : 0;

    internal RemoteFrameKind Kind { get; } = call.Kind;

    /// <summary>Whether a reply's head is one of this call's.</summary>
    internal bool CanBeRepliedBy(in RemoteFrame frame)
    {
        if (frame.Code != 0 || frame.Generation > int.MaxValue || frame.Offset < 0 || frame.Length < 0 || frame.Flags > 1)
        {
            return false;
        }

        (int least, int most) = Kind switch
        {
            RemoteFrameKind.GetStatus or RemoteFrameKind.SetStatus => (RemoteStatus.Size, RemoteStatus.Size),
            RemoteFrameKind.GetBio => (RemoteFrame.HeaderSize, RemoteFrame.HeaderSize + LengthsSize),
            RemoteFrameKind.StartPut => (sizeof(ulong), sizeof(ulong) + LengthsSize),
            RemoteFrameKind.CopyOut when frame.Generation == (ulong)Errno.None => (_length, _length),
            _ => (0, 0),
        };
        return frame.Payload >= least && frame.Payload <= most && frame.Payload % sizeof(uint) == 0;
    }
}

/// <summary>What came back; <see cref="Lost"/> where nothing will.</summary>
internal readonly record struct RemoteReply(Errno Error, long Offset, long Length, byte[] Payload)
{
    internal static RemoteReply Lost { get; } = new(Errno.ENODEV, 0, 0, []) { IsLost = true };

    internal bool IsLost { get; private init; }
}
