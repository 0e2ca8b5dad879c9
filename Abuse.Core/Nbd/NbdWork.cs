using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using Abuse.Core.Abi;

namespace Abuse.Core;

/// <summary>
/// A request that is more than one bio: it is longer, or not in whole blocks, or asks for what the device can't do by itself. Done on the pool, by a
/// <see cref="BlockClient"/>, which splits and waits its turn.
/// </summary>
/// <remarks>
/// In its connection's window from its start until it has answered, once. Its memory is its own until then, and the outbox's where it is the reply.
/// Given up with the connection (B5); whether a write was done is then unknown.
/// </remarks>
internal sealed partial class NbdWork
{
    private const int Scratch = AbuseIoctl.MaxBioLength;

    private readonly NbdConnection _connection;
    private readonly NbdSession _session;
    private readonly NbdRequest _request;
    private readonly BlockClient _client;
    private readonly CancellationToken _canceled;
    private readonly long _start;
    private readonly long _end;

    /// <summary>The read's reply, the write's bytes, or room to work in; null once it was given to the outbox.</summary>
    private byte[]? _array;

    private NbdWork(NbdConnection connection, NbdSession session, in NbdRequest request)
    {
        _connection = connection;
        _session = session;
        _request = request;
        _client = new BlockClient(session.Export.Device);
        _canceled = connection.Canceled;

        // Whole blocks around the range. The device's size is whole blocks, so that they are on it.
        long mask = session.Block - 1;
        _start = (long)request.Offset & ~mask;
        _end = ((long)request.Offset + (long)request.Length + mask) & ~mask;
    }

    private long Offset => (long)_request.Offset;

    private long Length => (long)_request.Length;

    private bool Fua => _request.Has(NbdCommandFlags.Fua);

    private bool IsWhole => _start == Offset && _end == Offset + Length;

    /// <summary>What a request counts for in the window, in bytes.</summary>
    internal static long MemoryFor(in NbdRequest request) =>
        request.Command is NbdCommand.Read or NbdCommand.Write ? (long)request.Length + (2 * BlockGeometry.MaxBlockSize) : Scratch;

    /// <summary>Starts a request that is in the window already, with so many bytes.</summary>
    internal static void Start(NbdConnection connection, NbdSession session, in NbdRequest request, in ReadOnlySequence<byte> payload, long bytes)
    {
        var work = new NbdWork(connection, session, request);
        if (request.Command == NbdCommand.Write)
        {
            work._array = ArrayPool<byte>.Shared.Rent((int)(work._end - work._start));
            payload.CopyTo(work._array.AsSpan((int)(work.Offset - work._start)));
        }

        _ = Task.Run(() => work.RunAsync(bytes));
    }

    [SuppressMessage("Design", "CA1031:Do not catch general exception types", Justification = "Whatever goes wrong with one request is its answer.")]
    private async Task RunAsync(long bytes)
    {
        BioResult result;
        try
        {
            result = await ExecuteAsync().ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            result = BioResult.Canceled;
        }
        catch (Exception exception)
        {
            AbuseEventSource.Log.CallbackFailed(exception);
            result = BioResult.IoError;
        }

        Answer(result);
        _connection.Outbox.KickLater();
        _connection.Window.Leave(bytes);
    }

    private ValueTask<BioResult> ExecuteAsync() => _request.Command switch
    {
        NbdCommand.Read => ReadAsync(),
        NbdCommand.Write => WriteAsync(),
        NbdCommand.Trim => TrimAsync(),
        NbdCommand.WriteZeroes => WriteZeroesAsync(),
        _ => CacheAsync(),
    };

    private void Answer(BioResult result)
    {
        NbdError error = NbdErrors.Of(result, _request.Command);
        _connection.Count(_request, error);
        int prefix = NbdReply.DataPrefix(_session.Style);
        if (error == NbdError.None && _request.Command == NbdCommand.Read)
        {
            // The header is written over what was read before the range.
            int start = (int)(Offset - _start);
            NbdReply.WriteData(_array.AsSpan(start), _session.Style, _request, _request.Offset, Length);
            _connection.Outbox.Append(new OutSegment(_array!, start, prefix + (int)Length));
            return;
        }

        if (_array is { } array)
        {
            ArrayPool<byte>.Shared.Return(array);
        }

        byte[] reply = ArrayPool<byte>.Shared.Rent(NbdReply.MaxSmall);
        int count = NbdReply.WriteOutcome(reply, _session.Style, _request, error, error == NbdError.None ? null : result.Describe());
        _connection.Outbox.Append(new OutSegment(reply, 0, count));
    }

    private ValueTask<BioResult> ReadAsync()
    {
        int prefix = NbdReply.DataPrefix(_session.Style);
        int length = (int)(_end - _start);
        _array = ArrayPool<byte>.Shared.Rent(prefix + length);
        return _client.TryReadAsync(_start, _array.AsMemory(prefix, length), _canceled);
    }

    /// <summary>
    /// Reads the range to nowhere, as much of it as a read may have: what is between the device and its store has it then. It is a hint, and a client
    /// may name the whole disk with it.
    /// </summary>
    private async ValueTask<BioResult> CacheAsync()
    {
        _array = ArrayPool<byte>.Shared.Rent(Scratch);
        BioResult result = BioResult.Ok;
        long end = Math.Min(_end, _start + _session.MaxPayload);
        for (long at = _start; at < end && result == BioResult.Ok; at += Scratch)
        {
            Memory<byte> piece = _array.AsMemory(0, (int)Math.Min(Scratch, end - at));
            result = await _client.TryReadAsync(at, piece, _canceled).ConfigureAwait(false);
        }

        return result;
    }
}
