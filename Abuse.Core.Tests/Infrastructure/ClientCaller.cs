namespace Abuse.Core.Tests;

/// <summary>
/// Calls a client in one of its forms, with the outcome as a value in each. Synchronous forms run on threads of their own: to block one of
/// the pool's would keep in-process servers waiting for another. Misuse throws from the call or from its task.
/// </summary>
internal sealed class ClientCaller(BlockClient client, ClientStyle style)
{
    internal BlockClient Client => client;

    internal Task<BioResult> Read(long offset, Memory<byte> buffer) => style switch
    {
        ClientStyle.Async => Caught(client.ReadAsync(offset, buffer)),
        ClientStyle.TryAsync => client.TryReadAsync(offset, buffer).AsTask(),
        ClientStyle.Sync => Caught(() => client.Read(offset, buffer.Span)),
        _ => Soon.OnThread(() => client.TryRead(offset, buffer.Span)),
    };

    internal Task<BioResult> ReadMany(long offset, IReadOnlyList<Memory<byte>> buffers) => style switch
    {
        ClientStyle.Async => Caught(client.ReadAsync(offset, buffers)),
        ClientStyle.TryAsync => client.TryReadAsync(offset, buffers).AsTask(),
        ClientStyle.Sync => Caught(() => client.Read(offset, buffers)),
        _ => Soon.OnThread(() => client.TryRead(offset, buffers)),
    };

    internal Task<BioResult> Write(long offset, ReadOnlyMemory<byte> buffer, bool fua = false) => style switch
    {
        ClientStyle.Async => Caught(client.WriteAsync(offset, buffer, fua)),
        ClientStyle.TryAsync => client.TryWriteAsync(offset, buffer, fua).AsTask(),
        ClientStyle.Sync => Caught(() => client.Write(offset, buffer.Span, fua)),
        _ => Soon.OnThread(() => client.TryWrite(offset, buffer.Span, fua)),
    };

    internal Task<BioResult> WriteMany(long offset, IReadOnlyList<Memory<byte>> buffers, bool fua = false)
    {
        IReadOnlyList<ReadOnlyMemory<byte>>? sources = buffers?.Select(static buffer => (ReadOnlyMemory<byte>)buffer).ToArray();
        return style switch
        {
            ClientStyle.Async => Caught(client.WriteAsync(offset, sources!, fua)),
            ClientStyle.TryAsync => client.TryWriteAsync(offset, sources!, fua).AsTask(),
            ClientStyle.Sync => Caught(() => client.Write(offset, sources!, fua)),
            _ => Soon.OnThread(() => client.TryWrite(offset, sources!, fua)),
        };
    }

    internal Task<BioResult> Flush() => style switch
    {
        ClientStyle.Async => Caught(client.FlushAsync()),
        ClientStyle.TryAsync => client.TryFlushAsync().AsTask(),
        ClientStyle.Sync => Caught(client.Flush),
        _ => Soon.OnThread(() => client.TryFlush()),
    };

    internal Task<BioResult> Discard(long offset, long length) => style switch
    {
        ClientStyle.Async => Caught(client.DiscardAsync(offset, length)),
        ClientStyle.TryAsync => client.TryDiscardAsync(offset, length).AsTask(),
        ClientStyle.Sync => Caught(() => client.Discard(offset, length)),
        _ => Soon.OnThread(() => client.TryDiscard(offset, length)),
    };

    internal Task<BioResult> WriteZeroes(long offset, long length, bool fua = false) => style switch
    {
        ClientStyle.Async => Caught(client.WriteZeroesAsync(offset, length, fua)),
        ClientStyle.TryAsync => client.TryWriteZeroesAsync(offset, length, fua).AsTask(),
        ClientStyle.Sync => Caught(() => client.WriteZeroes(offset, length, fua)),
        _ => Soon.OnThread(() => client.TryWriteZeroes(offset, length, fua)),
    };

    /// <summary>An operation by name, of so many bytes where it has bytes: for tests that hold for all of them.</summary>
    internal Task<BioResult> Do(ClientCall call, long offset, int length) => call switch
    {
        ClientCall.Read => Read(offset, new byte[length]),
        ClientCall.ReadMany => ReadMany(offset, [new byte[length / 2], new byte[length - (length / 2)]]),
        ClientCall.Write => Write(offset, new byte[length]),
        ClientCall.WriteMany => WriteMany(offset, [new byte[length / 2], new byte[length - (length / 2)]]),
        ClientCall.Discard => Discard(offset, length),
        _ => WriteZeroes(offset, length),
    };

    private static async Task<BioResult> Caught(ValueTask task)
    {
        try
        {
            await task;
            return BioResult.Ok;
        }
        catch (BlockIOException exception)
        {
            return exception.Result;
        }
    }

    private static Task<BioResult> Caught(Action call) => Soon.OnThread(() =>
    {
        try
        {
            call();
            return BioResult.Ok;
        }
        catch (BlockIOException exception)
        {
            return exception.Result;
        }
    });
}

/// <summary>The client's operations that have a range.</summary>
public enum ClientCall
{
    Read,
    ReadMany,
    Write,
    WriteMany,
    Discard,
    WriteZeroes,
}
