using System.Buffers;
using System.Buffers.Binary;
using System.Diagnostics;
using System.Globalization;
using System.IO.Pipelines;
using System.Net.Sockets;
using Abuse.Core;

namespace Abuse.Benchmarks;

/// <summary>
/// What does a device cost whose server is another process, against two bare loops on System.IO.Pipelines over the same kind of socket? 4 KiB reads,
/// depth 32, in turn. The bare pair sends as many bytes as the device does: 40 to ask, 4136 to answer; as an echo it sends 4136 both ways.
/// </summary>
internal static class RemotePairs
{
    private const int Block = 4096;
    private const int Head = 40;
    private const int Depth = 32;
    private const int Reads = 20_000;
    private const int Blocks = 1024;
    private const int Rounds = 15;

    internal static async Task RunAsync()
    {
        string directory = Directory.CreateTempSubdirectory("abuse-remote").FullName;
        string device = Path.Combine(directory, "device");
        string echo = Path.Combine(directory, "echo");
        using var listening = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listening.Bind(new UnixDomainSocketEndPoint(echo));
        listening.Listen();
        await using AbuseDevice served = AbuseDevice.Create(new BlockGeometry(Blocks * Block), new AbuseDeviceOptions { MaxQueue = Depth });
        await using var server = RemoteControlServer.Start(served, new UnixDomainSocketEndPoint(device));
        using Process child = Process.Start(Environment.ProcessPath!, [.. ChildArguments(), "remote-child", device, echo]);
        try
        {
            using Socket socket = await listening.AcceptAsync();
            await using var stream = new NetworkStream(socket);
            var bare = new Bare(PipeReader.Create(stream, new StreamPipeReaderOptions(bufferSize: 64 << 10)), PipeWriter.Create(stream));
            await CompareAsync(new Loaded(served), bare);
        }
        finally
        {
            child.Kill();
            await child.WaitForExitAsync();
            Directory.Delete(directory, recursive: true);
        }
    }

    /// <summary>The other process: serves the device, and the bare loop.</summary>
    internal static async Task RunChildAsync(string device, string echo)
    {
        byte[] store = new byte[Blocks * Block];
        new Random(1).NextBytes(store);
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await using RemoteControl control = await RemoteControl.ConnectAsync(new UnixDomainSocketEndPoint(device));
        using BioChannel channel = control.OpenChannel();
        await socket.ConnectAsync(new UnixDomainSocketEndPoint(echo));
        await using var stream = new NetworkStream(socket);
        await Task.WhenAny(ServeAsync(channel, store), ServeBareAsync(PipeReader.Create(stream, new StreamPipeReaderOptions(bufferSize: 64 << 10)), PipeWriter.Create(stream), store), control.Completion);
    }

    private static string[] ChildArguments() => Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet" ? ["exec", typeof(RemotePairs).Assembly.Location] : [];

    private static async Task CompareAsync(Loaded device, Bare bare)
    {
        var times = new double[3, Rounds];
        for (int round = -3; round < Rounds; round++)
        {
            for (int i = 0; i < 3; i++)
            {
                long start = Stopwatch.GetTimestamp();
                await (i == 0 ? bare.RunAsync(Head) : i == 1 ? device.RunAsync() : bare.RunAsync(Head + Block));
                if (round >= 0)
                {
                    times[i, round] = Stopwatch.GetElapsedTime(start).TotalSeconds;
                }
            }
        }

        Console.WriteLine("4 KiB reads, depth 32, two processes, Unix socket");
        Print("bare pipelines, 40 bytes to ask", times, 0);
        Print("device served by a remote channel", times, 1);
        Print("bare pipelines, an echo of 4136 bytes", times, 2);
    }

    private static void Print(string name, double[,] times, int contender)
    {
        double[] rates = [.. Enumerable.Range(0, Rounds).Select(round => Reads / times[contender, round]).Order()];
        string Of(int first)
        {
            double[] ratios = [.. Enumerable.Range(0, Rounds).Select(round => times[first, round] / times[contender, round]).Order()];
            return string.Create(CultureInfo.InvariantCulture, $"{ratios[Rounds / 2]:0.00} ({ratios[Rounds / 4]:0.00}..{ratios[Rounds * 3 / 4]:0.00})");
        }

        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"  {name,-38} {rates[Rounds / 2],9:N0} reads/s; of the bare rate {Of(0)}, of the echo's {Of(2)}"));
    }

    private static async Task ServeAsync(BioChannel channel, byte[] store)
    {
        while (await channel.Reader.WaitToReadAsync())
        {
            while (channel.Reader.TryRead(out BioRequest request))
            {
                store.AsSpan((int)request.Offset, Block).CopyTo(request.Data.Span);
                request.Complete(BioResult.Ok);
            }
        }
    }

    private static async Task ServeBareAsync(PipeReader reader, PipeWriter writer, byte[] store)
    {
        while (true)
        {
            ReadResult read = await reader.ReadAsync();
            if (read.IsCompleted)
            {
                return;
            }

            ReadOnlySequence<byte> rest = read.Buffer;
            while (TryTake(ref rest, store, writer))
            {
                // One after the other; all answers leave together.
            }

            reader.AdvanceTo(rest.Start, rest.End);
            await writer.FlushAsync();
        }
    }

    private static bool TryTake(ref ReadOnlySequence<byte> rest, byte[] store, PipeWriter writer)
    {
        if (rest.Length < Head)
        {
            return false;
        }

        Span<byte> head = stackalloc byte[Head];
        rest.Slice(0, Head).CopyTo(head);
        int length = Head + BinaryPrimitives.ReadInt32LittleEndian(head);
        if (rest.Length < length)
        {
            return false;
        }

        rest = rest.Slice(length);
        Span<byte> answer = writer.GetSpan(Head + Block);
        head.CopyTo(answer);
        store.AsSpan(BinaryPrimitives.ReadInt32LittleEndian(head[4..]) * Block, Block).CopyTo(answer[Head..]);
        writer.Advance(Head + Block);
        return true;
    }

    /// <summary>The asking side of the bare pair.</summary>
    private sealed class Bare(PipeReader reader, PipeWriter writer)
    {
        private readonly byte[] _buffer = new byte[Block];

        internal async Task RunAsync(int request)
        {
            int issued = 0;
            for (; issued < Depth; issued++)
            {
                Ask(request, issued);
            }

            await writer.FlushAsync();
            for (int done = 0; done < Reads;)
            {
                ReadResult read = await reader.ReadAsync();
                ReadOnlySequence<byte> rest = read.Buffer;
                for (; rest.Length >= Head + Block; done++)
                {
                    rest.Slice(Head, Block).CopyTo(_buffer);
                    rest = rest.Slice(Head + Block);
                    if (issued < Reads)
                    {
                        Ask(request, issued++);
                    }
                }

                reader.AdvanceTo(rest.Start, rest.End);
                await writer.FlushAsync();
            }
        }

        private void Ask(int request, int number)
        {
            Span<byte> head = writer.GetSpan(request);
            head[..request].Clear();
            BinaryPrimitives.WriteInt32LittleEndian(head, request - Head);
            BinaryPrimitives.WriteInt32LittleEndian(head[4..], number % Blocks);
            writer.Advance(request);
        }
    }

    /// <summary>The submitting side of the device.</summary>
    private sealed class Loaded(AbuseDevice device)
    {
        private readonly BlockClient _client = new(device);
        private readonly byte[][] _buffers = [.. Enumerable.Range(0, Depth).Select(_ => new byte[Block])];

        internal Task RunAsync() => Task.WhenAll(Enumerable.Range(0, Depth).Select(LoopAsync));

        private async Task LoopAsync(int slot)
        {
            for (int i = slot; i < Reads; i += Depth)
            {
                if (await _client.TryReadAsync(i % Blocks * Block, _buffers[slot]) != BioResult.Ok)
                {
                    throw new InvalidOperationException("A read failed.");
                }
            }
        }
    }
}
