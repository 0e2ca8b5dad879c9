using System.Buffers;
using System.IO.Pipelines;

namespace Abuse.Core.Tests;

/// <summary>A device's process that says what a test says, byte for byte, to a real <see cref="RemoteControl"/>.</summary>
internal sealed class RawHost(PipeReader input, PipeWriter output)
{
    /// <summary>A control that has had its hello.</summary>
    internal static async Task<(RemoteControl Control, RawHost Host)> ConnectAsync(RemoteControlOptions? options = null)
    {
        (PipePair here, PipePair there) = PipePair.Create();
        var host = new RawHost(there.Input, there.Output);
        Task<RemoteControl> connecting = RemoteControl.ConnectAsync(here, options ?? new RemoteControlOptions { MaxBiosInFlight = 4 });
        await host.SendAsync(Hello, new byte[RemoteStatus.Size]);
        Expect((await host.ReceiveAsync()).Frame, RemoteFrameKind.Hello);
        return (await connecting.InTime(), host);
    }

    private static RemoteFrame Hello { get; } = new() { Kind = RemoteFrameKind.Hello, Id = RemoteFrame.Magic, Code = RemoteFrame.Version };

    internal async Task SendAsync(RemoteFrame frame, byte[]? payload = null) =>
        await SendAsync(RawPeer.BytesOf(payload is null ? frame : frame with { Payload = payload.Length }, payload));

    internal async Task SendAsync(ReadOnlyMemory<byte> bytes) => await output.WriteAsync(bytes);

    /// <summary>The next frame.</summary>
    internal async Task<(RemoteFrame Frame, byte[] Payload)> ReceiveAsync()
    {
        while (true)
        {
            ReadResult read = await input.ReadAsync().InTime();
            if (RemoteFrame.TryRead(read.Buffer, out RemoteFrame frame) && read.Buffer.Length >= RemoteFrame.Size + frame.Payload)
            {
                byte[] payload = read.Buffer.Slice(RemoteFrame.Size, frame.Payload).ToArray();
                input.AdvanceTo(read.Buffer.GetPosition(RemoteFrame.Size + frame.Payload));
                return (frame, payload);
            }

            if (read.IsCompleted)
            {
                throw new EndOfStreamException("The connection has ended.");
            }

            input.AdvanceTo(read.Buffer.Start, read.Buffer.End);
        }
    }

    /// <summary>The next frame, which is a call of that kind.</summary>
    internal async Task<RemoteFrame> ReceiveCallAsync(RemoteFrameKind kind)
    {
        (RemoteFrame call, _) = await ReceiveAsync();
        Expect(call, kind);
        return call;
    }

    internal Task ReplyAsync(in RemoteFrame call, RemoteFrame reply, byte[]? payload = null) =>
        SendAsync(reply with { Kind = RemoteFrameKind.Reply, Id = call.Id }, payload);

    /// <summary>Whether an answer is among all that came to the end of the connection.</summary>
    internal async Task<bool> ReceivesAnswerAsync()
    {
        try
        {
            while ((await ReceiveAsync()).Frame.Kind != RemoteFrameKind.Answer)
            {
                // Calls.
            }

            return true;
        }
        catch (EndOfStreamException)
        {
            return false;
        }
    }

    /// <summary>Ends what it sends.</summary>
    internal ValueTask EndAsync() => output.CompleteAsync();

    private static void Expect(in RemoteFrame frame, RemoteFrameKind kind)
    {
        if (frame.Kind != kind)
        {
            throw new InvalidOperationException($"{kind} was to come, and not {frame.Kind}.");
        }
    }
}
