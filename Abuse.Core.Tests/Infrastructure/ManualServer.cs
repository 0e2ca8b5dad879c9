using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>A server whose every step is the test's: it reads a request when the test asks for one, and answers when the test says so.</summary>
internal sealed class ManualServer : IDisposable
{
    private readonly BioChannel _channel;

    internal ManualServer(AbuseDevice device, BlockFeatures takes = BlockFeatures.None) =>
        _channel = device.Control.OpenChannel(new BioChannelOptions { Takes = takes });

    /// <summary>The next request; fails if none comes.</summary>
    internal Task<BioRequest> Next() => _channel.Reader.ReadAsync().InTime();

    internal async Task<BioRequest[]> Next(int count)
    {
        var requests = new BioRequest[count];
        for (int i = 0; i < count; i++)
        {
            requests[i] = await Next();
        }

        return requests;
    }

    /// <summary>Whether nothing is to be read now.</summary>
    internal bool HasNothing
    {
        get
        {
            if (!_channel.Reader.TryRead(out BioRequest request))
            {
                return true;
            }

            TestContext.Out.WriteLine($"There is {request}.");
            request.Abandon();
            return false;
        }
    }

    /// <summary>Reads and answers until <paramref name="done"/>, and returns what it read.</summary>
    internal async Task<List<BioHead>> AnswerUntil(Task done, Func<BioRequest, BioResult> answer)
    {
        var heads = new List<BioHead>();
        while (true)
        {
            Task<bool> readable = _channel.Reader.WaitToReadAsync().AsTask();
            await Task.WhenAny(readable, done).InTime();
            if (!readable.IsCompleted)
            {
                // Ends the wait that is left over, and the server with it.
                Dispose();
                await readable.InTime();
                return heads;
            }

            while (_channel.Reader.TryRead(out BioRequest request))
            {
                heads.Add(request.Head);
                Assert.That(request.Complete(answer(request)), Is.EqualTo(AnswerResult.Accepted));
            }
        }
    }

    public void Dispose() => _channel.Dispose();
}
