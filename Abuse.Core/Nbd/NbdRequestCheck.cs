namespace Abuse.Core;

/// <summary>Whether a request may come to the device: the one place where that is decided.</summary>
internal static class NbdRequestCheck
{
    /// <returns>What to answer it with; none for a request that the device may see, whose offset and length then fit in its size.</returns>
    internal static NbdError Check(in NbdRequest request, NbdSession session)
    {
        if ((request.Flags & ~Allowed(request.Command, session)) != 0)
        {
            return NbdError.Invalid;
        }

        NbdError error = request.Command switch
        {
            NbdCommand.Read => CheckRead(request, session),
            NbdCommand.Write or NbdCommand.WriteZeroes => CheckWritable(session),
            NbdCommand.Trim => session.Has(NbdTransmissionFlags.ReadOnly) ? NbdError.NotPermitted
                : session.Has(NbdTransmissionFlags.SendTrim) ? NbdError.None : NbdError.Invalid,
            NbdCommand.Flush => session.Has(NbdTransmissionFlags.SendFlush) && (request.Offset | request.Length) == 0 ? NbdError.None : NbdError.Invalid,
            NbdCommand.Cache => NbdError.None,
            NbdCommand.BlockStatus => session.HasAllocation && request.Length != 0 ? NbdError.None : NbdError.Invalid,
            _ => NbdError.Invalid,
        };
        return error != NbdError.None || request.Command == NbdCommand.Flush ? error : CheckRange(request, session);
    }

    private static NbdCommandFlags Allowed(NbdCommand command, NbdSession session)
    {
        // Clients are known to set it on what writes nothing.
        NbdCommandFlags fua = session.Has(NbdTransmissionFlags.SendFua) ? NbdCommandFlags.Fua : NbdCommandFlags.None;
        return fua | command switch
        {
            NbdCommand.Read when session.Has(NbdTransmissionFlags.SendDf) => NbdCommandFlags.DontFragment,
            NbdCommand.Write when session.IsExtended => NbdCommandFlags.PayloadLength,
            NbdCommand.WriteZeroes => NbdCommandFlags.NoHole | NbdCommandFlags.FastZero,
            NbdCommand.BlockStatus => session.Has(NbdTransmissionFlags.BlockStatusPayload)
                ? NbdCommandFlags.RequestOne | NbdCommandFlags.PayloadLength
                : NbdCommandFlags.RequestOne,
            _ => NbdCommandFlags.None,
        };
    }

    /// <summary>A simple reply can't be split; of the others a client is told to ask for less.</summary>
    private static NbdError CheckRead(in NbdRequest request, NbdSession session) =>
        request.Length <= (ulong)session.MaxPayload ? NbdError.None
        : session.Style == NbdReplyStyle.Simple ? NbdError.Invalid
        : NbdError.Overflow;

    private static NbdError CheckWritable(NbdSession session) =>
        session.Has(NbdTransmissionFlags.ReadOnly) ? NbdError.NotPermitted : NbdError.None;

    private static NbdError CheckRange(in NbdRequest request, NbdSession session)
    {
        ulong size = (ulong)session.Size;
        if (request.Offset > size || request.Length > size - request.Offset)
        {
            return NbdErrors.Beyond(request.Command);
        }

        return ((request.Offset | request.Length) & (uint)(session.MinBlock - 1)) != 0 ? NbdError.Invalid : NbdError.None;
    }
}
