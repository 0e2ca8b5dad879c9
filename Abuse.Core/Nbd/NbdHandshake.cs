using System.Buffers;
using System.Buffers.Binary;
using System.IO.Pipelines;
using System.Text;

namespace Abuse.Core;

/// <summary>The first half of a connection: the client asks for options, and at last for an export.</summary>
/// <remarks>
/// Runs on the receiving loop. One option is looked at after the other; each is answered, with an error where it makes no sense, so that what
/// follows is still understood. What can't be followed any more ends the connection (<see cref="PeerFaultException"/>).
/// </remarks>
internal sealed partial class NbdHandshake(NbdConnection connection, NbdExports exports, NbdServerOptions options)
{
    /// <summary>An option's data may have so many bytes; what is longer is passed over and refused.</summary>
    private const int MaxData = 64 << 10;

    /// <summary>What is longer than that is not even passed over.</summary>
    private const int MaxSkipped = 1 << 20;

    /// <summary>A client that asks for so many options does not want an export.</summary>
    private const int MaxOptions = 4096;

    /// <summary>Of what clients send; what they are told is never refused.</summary>
    private static readonly UTF8Encoding Utf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private NbdReplyStyle _style;
    private bool _omitsZeroes;

    /// <summary>The export for which contexts were selected last; null where none was.</summary>
    private string? _contextExport;

    /// <summary>Runs to its end.</summary>
    /// <returns>What was agreed on; null if the client left.</returns>
    internal async Task<NbdSession?> RunAsync()
    {
        SendGreeting();
        byte[]? flags = await ReceiveAsync(4).ConfigureAwait(false);
        if (flags is null)
        {
            return null;
        }

        uint clientFlags = BinaryPrimitives.ReadUInt32BigEndian(flags);
        if ((clientFlags & ~(uint)(NbdWire.FixedNewstyle | NbdWire.NoZeroes)) != 0)
        {
            throw new PeerFaultException($"The client's flags are 0x{clientFlags:x}, of which some are not known.");
        }

        _omitsZeroes = (clientFlags & NbdWire.NoZeroes) != 0;
        for (int count = 0; count < MaxOptions; count++)
        {
            if (await ReceiveAsync(16).ConfigureAwait(false) is not { } head)
            {
                return null;
            }

            if (BinaryPrimitives.ReadUInt64BigEndian(head) != NbdWire.OptionMagic)
            {
                throw new PeerFaultException("An option did not begin with its magic.");
            }

            var option = (NbdOption)BinaryPrimitives.ReadUInt32BigEndian(head.AsSpan(8));
            (bool isOver, NbdSession? session) = await TakeOptionAsync(option, BinaryPrimitives.ReadUInt32BigEndian(head.AsSpan(12))).ConfigureAwait(false);
            if (session is not null)
            {
                connection.HandshakeDone();
            }

            connection.Outbox.Kick();
            if (isOver)
            {
                return session;
            }

            while (connection.Outbox.IsFull && connection.End is null)
            {
                await connection.Outbox.WaitForRoomAsync().ConfigureAwait(false);
            }
        }

        throw new PeerFaultException($"The client asked for {MaxOptions} options and for no export.");
    }

    private async Task<(bool IsOver, NbdSession? Session)> TakeOptionAsync(NbdOption option, uint length)
    {
        if (length > MaxData)
        {
            await SkipAsync(option, length).ConfigureAwait(false);
            Refuse(option, NbdOptionReply.ErrTooBig, $"An option's data is at most {MaxData} bytes.");
            return (false, null);
        }

        if (await ReceiveAsync((int)length).ConfigureAwait(false) is not { } data)
        {
            return (true, null);
        }

        switch (option)
        {
            case NbdOption.ExportName:
                return (true, ChooseByName(data));
            case NbdOption.Abort:
                Reply(option, NbdOptionReply.Ack);
                return (true, null);
            case NbdOption.Go or NbdOption.Info:
                NbdSession? session = Describe(option, data);
                return (session is not null && option == NbdOption.Go, option == NbdOption.Go ? session : null);
            default:
                TakeSetting(option, data);
                return (false, null);
        }
    }

    private void TakeSetting(NbdOption option, byte[] data)
    {
        switch (option)
        {
            case NbdOption.List:
                List(data);
                break;
            case NbdOption.StructuredReply when data.Length == 0 && _style == NbdReplyStyle.Extended:
                Refuse(option, NbdOptionReply.ErrExtendedHeadersRequired, "Extended headers are negotiated already, and include it.");
                break;
            case NbdOption.StructuredReply or NbdOption.ExtendedHeaders when data.Length != 0:
                Refuse(option, NbdOptionReply.ErrInvalid, "The option has no data.");
                break;
            case NbdOption.StructuredReply:
                _style = NbdReplyStyle.Structured;
                Reply(option, NbdOptionReply.Ack);
                break;
            case NbdOption.ExtendedHeaders:
                _style = NbdReplyStyle.Extended;
                Reply(option, NbdOptionReply.Ack);
                break;
            case NbdOption.ListMetaContext or NbdOption.SetMetaContext:
                TakeContexts(option, data);
                break;
            default:
                Refuse(option, NbdOptionReply.ErrUnsupported, "The option is not known.");
                break;
        }
    }

    private async Task SkipAsync(NbdOption option, uint length)
    {
        if (length > MaxSkipped || option == NbdOption.ExportName)
        {
            throw new PeerFaultException($"The data of option {option} is said to have {length} bytes.");
        }

        for (uint left = length; left != 0;)
        {
            ThrowIfEnded();
            ReadResult read = await connection.Link.Input.ReadAsync().ConfigureAwait(false);
            uint some = (uint)Math.Min(left, read.Buffer.Length);
            connection.Link.Input.AdvanceTo(read.Buffer.GetPosition(some));
            left -= some;
            if (left != 0 && read.IsCompleted)
            {
                throw new EndOfStreamException("The connection ended in the midst of an option.");
            }
        }
    }

    /// <summary>
    /// Before each wait: a read that is cancelled because the connection was closed is cancelled once, and has what was there before, so that it
    /// may look like any other.
    /// </summary>
    private void ThrowIfEnded()
    {
        if (connection.End is { } end)
        {
            throw new EndOfStreamException(end.Detail);
        }
    }

    /// <summary>So many bytes; null if the client left before the first of them.</summary>
    private async Task<byte[]?> ReceiveAsync(int count)
    {
        if (count == 0)
        {
            return [];
        }

        PipeReader input = connection.Link.Input;
        while (connection.End is null)
        {
            ReadResult read = await input.ReadAsync().ConfigureAwait(false);
            if (read.Buffer.Length >= count)
            {
                ReadOnlySequence<byte> bytes = read.Buffer.Slice(0, count);
                byte[] data = bytes.ToArray();
                input.AdvanceTo(bytes.End);
                return data;
            }

            bool isEmpty = read.Buffer.IsEmpty;
            input.AdvanceTo(read.Buffer.Start, read.Buffer.End);
            if (read.IsCompleted)
            {
                return isEmpty ? null : throw new EndOfStreamException("The connection ended in the midst of the handshake.");
            }
        }

        return null;
    }

    private void SendGreeting()
    {
        byte[] bytes = ArrayPool<byte>.Shared.Rent(18);
        BinaryPrimitives.WriteUInt64BigEndian(bytes, NbdWire.Magic);
        BinaryPrimitives.WriteUInt64BigEndian(bytes.AsSpan(8), NbdWire.OptionMagic);
        BinaryPrimitives.WriteUInt16BigEndian(bytes.AsSpan(16), NbdWire.FixedNewstyle | NbdWire.NoZeroes);
        connection.Outbox.Append(new OutSegment(bytes, 0, 18));
        connection.Outbox.Kick();
    }

    private void Refuse(NbdOption option, NbdOptionReply error, string message) => Reply(option, error, Encoding.UTF8.GetBytes(message));

    private void Reply(NbdOption option, NbdOptionReply reply, ReadOnlySpan<byte> data = default)
    {
        byte[] bytes = ArrayPool<byte>.Shared.Rent(20 + data.Length);
        BinaryPrimitives.WriteUInt64BigEndian(bytes, NbdWire.OptionReplyMagic);
        BinaryPrimitives.WriteUInt32BigEndian(bytes.AsSpan(8), (uint)option);
        BinaryPrimitives.WriteUInt32BigEndian(bytes.AsSpan(12), (uint)reply);
        BinaryPrimitives.WriteUInt32BigEndian(bytes.AsSpan(16), (uint)data.Length);
        data.CopyTo(bytes.AsSpan(20));
        connection.Outbox.Append(new OutSegment(bytes, 0, 20 + data.Length));
    }
}
