using System.Buffers.Binary;

namespace Abuse.Benchmarks;

/// <summary>What is asked of a server, over and over.</summary>
/// <param name="IsWrite">Writes, else reads.</param>
/// <param name="Block">Bytes of a request.</param>
/// <param name="Depth">Requests in flight on each connection.</param>
/// <param name="Connections">How many connections, each with a thread of its own.</param>
/// <param name="IsSequential">One request after the other; else random offsets.</param>
internal sealed record NbdCell(bool IsWrite, int Block, int Depth, int Connections, bool IsSequential = false)
{
    public override string ToString() =>
        $"{(Block >= 1 << 20 ? $"{Block >> 20} MiB" : $"{Block >> 10} KiB")} {(IsSequential ? "sequential" : "random")} {(IsWrite ? "write" : "read")}, depth {Depth} x {Connections}";
}

/// <summary>
/// One connection's share of a load: keeps so many requests in flight, takes all replies that are there with one receive, and sends a request for each
/// with one send. It touches no payload, so that the server is what is measured.
/// </summary>
internal sealed class NbdLoad
{
    private const uint RequestMagic = 0x25609513;
    private const uint SimpleMagic = 0x67446698;
    private const uint ChunkMagic = 0x668e33ef;
    private const int RequestSize = 28;

    /// <summary>More is not asked for with one send, so that the server can begin.</summary>
    private const int MostInSend = 4 << 20;

    private readonly NbdLink _link;
    private readonly NbdCell _cell;
    private readonly byte[] _requests;
    private readonly byte[] _replies;
    private readonly int _each;
    private readonly int _together;
    private ulong _random;
    private long _next;
    private int _end;
    private long _payloadLeft;
    private bool _endsAfterPayload;

    internal NbdLoad(NbdLink link, NbdCell cell, int number)
    {
        _link = link;
        _cell = cell;
        _each = RequestSize + (cell.IsWrite ? cell.Block : 0);
        _together = Math.Clamp(MostInSend / _each, 1, cell.Depth);
        _requests = new byte[_each * _together];
        new Random(number).NextBytes(_requests);
        _replies = new byte[cell.Block >= 1 << 20 ? 1 << 20 : 256 << 10];
        _random = ((ulong)number * 0x9E3779B97F4A7C15) + 1;
        _next = link.Size / cell.Connections * number;
    }

    /// <summary>Requests that were answered.</summary>
    internal long Done { get; private set; }

    /// <summary>Runs until it is told to stop, and then until nothing is in flight.</summary>
    internal void Run(Func<bool> isOver, long atMost = long.MaxValue)
    {
        long left = atMost;
        int inFlight = (int)Math.Min(_cell.Depth, left);
        left -= inFlight;
        Ask(inFlight);
        while (inFlight > 0)
        {
            int answered = Receive();
            Done += answered;
            if (answered == 0)
            {
                continue;
            }

            int again = isOver() ? 0 : (int)Math.Min(answered, left);
            left -= again;
            inFlight += again - answered;
            Ask(again);
        }
    }

    private void Ask(int count)
    {
        while (count > 0)
        {
            int some = Math.Min(count, _together);
            for (int i = 0; i < some; i++)
            {
                Span<byte> request = _requests.AsSpan(i * _each, RequestSize);
                BinaryPrimitives.WriteUInt32BigEndian(request, RequestMagic);
                BinaryPrimitives.WriteUInt32BigEndian(request[4..], _cell.IsWrite ? 1u : 0);
                BinaryPrimitives.WriteUInt64BigEndian(request[8..], _random);
                BinaryPrimitives.WriteInt64BigEndian(request[16..], NextOffset());
                BinaryPrimitives.WriteInt32BigEndian(request[24..], _cell.Block);
            }

            NbdLink.Send(_link.Socket, _requests.AsSpan(0, some * _each));
            count -= some;
        }
    }

    private long NextOffset()
    {
        long blocks = _link.Size / _cell.Block;
        if (_cell.IsSequential)
        {
            long at = _next;
            _next = at + (2L * _cell.Block) <= _link.Size ? at + _cell.Block : 0;
            return at;
        }

        _random ^= _random << 13;
        _random ^= _random >> 7;
        _random ^= _random << 17;
        return (long)Math.BigMul(_random, (ulong)blocks, out _) * _cell.Block;
    }

    /// <summary>Receives what there is; how many requests are answered by it.</summary>
    private int Receive()
    {
        int received = _link.Socket.Receive(_replies.AsSpan(_end));
        NbdLink.Require(received > 0, "it closed the connection");
        _end += received;
        int at = 0;
        int answered = 0;
        while (true)
        {
            int some = (int)Math.Min(_payloadLeft, _end - at);
            at += some;
            _payloadLeft -= some;
            if (_payloadLeft > 0)
            {
                break;
            }

            if (_endsAfterPayload)
            {
                answered++;
                _endsAfterPayload = false;
            }

            int head = TakeHead(_replies.AsSpan(at, _end - at));
            if (head == 0)
            {
                break;
            }

            at += head;
        }

        // What is left is a part of a head.
        _replies.AsSpan(at, _end - at).CopyTo(_replies);
        _end -= at;
        return answered;
    }

    /// <summary>Looks at a reply's head and notes what follows it; its length, or 0 if not all of it is there.</summary>
    private int TakeHead(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length < 16)
        {
            return 0;
        }

        uint magic = BinaryPrimitives.ReadUInt32BigEndian(bytes);
        if (magic == SimpleMagic)
        {
            NbdLink.Require(BinaryPrimitives.ReadUInt32BigEndian(bytes[4..]) == 0, "a request failed");
            _payloadLeft = _cell.IsWrite ? 0 : _cell.Block;
            _endsAfterPayload = true;
            return 16;
        }

        NbdLink.Require(magic == ChunkMagic, $"a reply begins with {magic:x}");
        if (bytes.Length < 20)
        {
            return 0;
        }

        NbdLink.Require((bytes[6] & 0x80) == 0, "a request failed");
        _payloadLeft = BinaryPrimitives.ReadUInt32BigEndian(bytes[16..]);
        _endsAfterPayload = (bytes[5] & 1) != 0;
        return 20;
    }
}
